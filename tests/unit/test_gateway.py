"""Large events by signed links: whoever has the link reads that event, until it expires, and nothing else."""

import base64

import pytest
from fastapi.testclient import TestClient
from ledger_stage import Clock, Stage, extraction, memory_stage

from sluice_producer.gateway import make
from sluice_schemas.event import Event
from sluice_schemas.ledger import Claim, Receipt
from sluice_schemas.links import LIVES_S, Links

KEY = base64.b64encode(b"k" * 32)


@pytest.fixture
def stage() -> Stage:
    return memory_stage(Clock())


def asked(stage: Stage, path: str, *, now: float = 1_000_000.0) -> tuple[int, bytes]:
    with TestClient(make(stage.producer, Links("", KEY, clock=lambda: now))) as client:
        got = client.get(path)
    assert got.headers["content-type"] == "application/json"
    assert got.headers["cache-control"] == "no-store"
    return got.status_code, got.content


def path_to(stage: Stage, claim: Claim) -> str:
    """The path of the link that a webhook about the job would carry."""
    given = stage.consignment()
    assert given.claims[0].job_id == claim.job_id
    stage.settle(given, Receipt("delivered"))
    return Links("", KEY, clock=lambda: 1_000_000.0).to(Event.decode(given.claims[0].body)).url


def test_a_link_gives_the_event_as_the_webhook_would_have(stage: Stage) -> None:
    claim = stage.committed()
    path = path_to(stage, claim)
    code, body = asked(stage, path)
    event = Event.decode(body)
    assert code == 200
    assert (event.job.id, event.type, event.extraction) == (claim.job_id, "extraction.completed", extraction(claim))
    assert event == event.linked()
    assert event.timestamp.startswith("1970-01-12T13:46:40")


def test_a_link_opens_nothing_else_and_not_for_ever(stage: Stage) -> None:
    claim, other = stage.committed(), stage.claimed(key="other")
    stage.worker.commit(other, extraction(other))
    path = path_to(stage, claim)
    for wrong in (path.replace(claim.job_id, other.job_id), path[:-1] + "x", path.replace("expires=1", "expires=2")):
        assert asked(stage, wrong)[0] == 403
    assert asked(stage, path, now=1_000_000.0 + LIVES_S)[0] == 403
    assert asked(stage, path)[0] == 200


def test_a_job_without_a_result_says_so(stage: Stage) -> None:
    links = Links("", KEY, clock=lambda: 1_000_000.0)
    running = stage.claimed()
    event = Event(type="extraction.failed", timestamp="t", job=running.job.model_copy(update={"state": "dead"}))
    code, body = asked(stage, links.to(event).url)
    assert (code, b"it is running" in body) == (404, True)
    unknown = event.model_copy(update={"job": event.job.model_copy(update={"id": "0" * 32})})
    assert asked(stage, links.to(unknown).url)[0] == 404
