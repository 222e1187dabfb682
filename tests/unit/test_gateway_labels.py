"""Label Studio's webhook: who does not know the token gets nowhere, and what is answered is on disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from ledger_stage import Clock, memory_stage

from sluice_producer.cli.session import Session
from sluice_producer.gateway import gateway, make
from sluice_producer.labels.access import Access
from sluice_producer.labels.webhook import MAX_BODY_BYTES, Intake
from sluice_schemas.catalogue import Catalogue
from sluice_schemas.errors import Misconfigured
from sluice_schemas.labels.store import Labelled, LabelStore
from sluice_schemas.ledger import MemoryLedger
from sluice_schemas.links import Links
from sluice_schemas.sql import database

TOKEN = "t" * 40
ALLOWED = f"Bearer {TOKEN}".encode()
PATH = "/labels/labelstudio?schema=news/entities-en@1"
TEXT = "😀 Anna works in Ulm."


class Site:
    """A gateway that takes labels, as Label Studio sees it."""

    def __init__(self, url: str) -> None:
        self._url, self._access, ledger = url, Access(url), MemoryLedger()
        self.client = TestClient(make(ledger, None, Intake(self._access, TOKEN, Catalogue(ledger).find)))

    def post(self, body: Any, *, path: str = PATH, authorization: bytes = ALLOWED) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        answer = self.client.post(path, content=raw, headers={b"authorization": authorization})
        return answer.status_code, orjson.loads(answer.content) if answer.content else None

    def kept(self) -> list[Labelled]:
        """What another process would find on disk."""
        engine = database.connect(self._url)
        found = [*LabelStore(engine).snapshot()]
        engine.dispose()
        return found

    def close(self) -> None:
        self.client.close()
        self._access.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(f"sqlite:///{tmp_path / 'labels.db'}")
    yield site
    site.close()


def event(action: str = "ANNOTATION_CREATED", name: str = "person", **annotation: Any) -> dict[str, Any]:
    """As Label Studio sends it (its webhook reference); fields that are not read are left out."""
    value = {"start": 2, "end": 6, "text": "Anna", "labels": [name]}
    result = [{"value": value, "id": "WArqkkifYE", "from_name": "label", "to_name": "text", "type": "labels"}]
    return {
        "action": action,
        "annotation": {"id": 17, "result": result, "was_cancelled": False, "task": 19, "completed_by": 4, **annotation},
        "project": {"id": 2, "title": "News"},
        "task": {"id": 19, "data": {"text": TEXT, "document_id": "d", "job_id": "j"}, "meta": {}},
    }


def test_an_annotation_is_on_disk_when_it_is_answered(site: Site) -> None:
    code, answer = site.post(event())
    (kept,) = site.kept()
    assert (code, answer) == (201, {"id": kept.label_id, "share": kept.share, "is_new": True})
    label = kept.label
    assert (label.document.id, label.job_id, label.author, label.verdict) == ("d", "j", "labelstudio:4", "corrected")
    assert [each.text for each in label.entities] == ["Anna"]


def test_an_update_takes_its_place_and_a_repetition_changes_nothing(site: Site) -> None:
    site.post(event())
    assert site.post(event())[0] == 200
    assert site.post(event("ANNOTATION_UPDATED", "organization"))[0] == 201
    assert [each.label.entities[0].type for each in site.kept()] == ["organization"]


@pytest.mark.parametrize(
    "ignored",
    [
        {"action": "TASKS_CREATED", "tasks": []},
        {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 17}]},
        {**event("ANNOTATIONS_CREATED")},  # made from predictions in bulk: nobody has read them
        event(was_cancelled=True),  # skipped
    ],
)
def test_what_is_no_label_is_answered_and_dropped(site: Site, ignored: dict[str, Any]) -> None:
    assert site.post(ignored) == (204, None)
    assert site.kept() == []


@pytest.mark.parametrize("given", ["", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", TOKEN, "Bearer é"])
def test_without_the_token_nothing_is_kept(site: Site, given: str) -> None:
    code, answer = site.post(event(), authorization=given.encode())
    assert code == 401
    assert "SLUICE_LABELSTUDIO_TOKEN" in answer["detail"]
    assert TOKEN not in answer["detail"]
    assert site.kept() == []


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (event(name="dog"), 422, "the schema has no type 'dog'"),
        (event(result=[{"type": "labels", "value": {}}]), 422, "needs start and end"),
        ({"action": "ANNOTATION_CREATED"}, 422, "Send payload"),  # the webhook sends only the action
        (b"[]", 422, "JSON object"),
        (b"{", 422, "not JSON"),
        (b"x" * (MAX_BODY_BYTES + 1), 413, "longer than"),
    ],
)
def test_what_cannot_be_kept_says_why(site: Site, body: Any, code: int, words: str) -> None:
    answered, answer = site.post(body)
    assert (answered, words in answer["detail"]) == (code, True)
    assert site.kept() == []


def test_a_refusal_is_told_to_ops_without_the_text(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.post(event(name="dog"))
    (line,) = caplog.messages
    assert "is no label" in line
    assert "works" not in line


@pytest.mark.parametrize("path", ["/labels/labelstudio", "/labels/labelstudio?schema=none@1"])
def test_a_schema_that_is_not_there_is_named(site: Site, path: str) -> None:
    code, answer = site.post(event(), path=path)
    assert (code, "There is no schema" in answer["detail"]) == (404, True)


def test_a_database_that_is_away_is_to_be_asked_again() -> None:
    ledger = MemoryLedger()
    away = Intake(Access("postgresql://127.0.0.1:1/x"), TOKEN, Catalogue(ledger).find)
    with TestClient(make(ledger, None, away)) as client:
        answer = client.post(PATH, content=orjson.dumps(event()), headers={b"authorization": ALLOWED})
    assert (answer.status_code, "does not answer" in answer.json()["detail"]) == (503, True)


def test_a_gateway_has_the_doors_that_it_was_given(site: Site) -> None:
    stage = memory_stage(Clock())
    with TestClient(make(stage.producer, Links("", b"k" * 32))) as links_only:
        assert links_only.post(PATH, headers={b"authorization": ALLOWED}).status_code == 404
        assert links_only.get("/v1/events/x?expires=1&signature=x").status_code == 403
    assert site.client.get("/v1/events/x?expires=1&signature=x").status_code == 404
    assert site.client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "Set SLUICE_LINK_SECRET for links to events, SLUICE_LABELSTUDIO_TOKEN for labels, or both"),
        ({"SLUICE_LABELSTUDIO_TOKEN": "short"}, "SLUICE_LABELSTUDIO_TOKEN must have 32 characters or more"),
        ({"SLUICE_LINK_SECRET": "short"}, "SLUICE_LINK_SECRET must have 32 characters or more"),
        ({"SLUICE_LABELSTUDIO_TOKEN": TOKEN, "SLUICE_LABELS_URL": "mysql://x"}, "SLUICE_LABELS_URL must look like"),
    ],
)
def test_a_gateway_that_could_do_nothing_does_not_start(environment: dict[str, str], words: str) -> None:
    names = ("SLUICE_LINK_SECRET", "SLUICE_LABELSTUDIO_TOKEN", "SLUICE_LABELS_URL")
    told = CliRunner().invoke(gateway, env={**dict.fromkeys(names), **environment}, obj=Session())
    assert isinstance(told.exception, Misconfigured)
    assert words in str(told.exception)
    assert TOKEN not in str(told.exception)
