"""A candidate beside the champion: compared and counted, never in the way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from sluice_processes import until

from sluice_schemas.document import Document
from sluice_schemas.errors import BadOutput
from sluice_schemas.extraction import Extraction, Mention, Problem, Usage
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_worker.adapters import shadow
from sluice_worker.adapters.shadow import Extract, Shadow, ShadowCounts

CANDIDATE = "c" * 20
SCHEMA = ExtractionSchema(id="own/people", version=1, task="NER", language="en", types=(Type(name="person"),))
DOCUMENT = Document(id="d", text="Ada met Bob.")


def said(*names: str, **more: object) -> Extraction:
    entities = tuple(Mention(text=name, type="person") for name in names)
    fields = {"job_id": "j", "document_id": "d", "schema_ref": SCHEMA.ref, "task": "NER", "language": "en"}
    return Extraction.model_validate({**fields, "model": "m", "entities": entities, **more})


@contextmanager
def shown(redis: Redis, extract: Extract, *, is_held: bool = True) -> Iterator[Shadow]:
    @contextmanager
    def hold(digest: str) -> Iterator[bool]:
        assert digest == CANDIDATE
        yield is_held

    beside = Shadow(redis, extract, hold)
    yield beside
    beside.stop()


def counted(redis: Redis) -> ShadowCounts:
    return shadow.counts(redis, CANDIDATE) or ShadowCounts()


def test_what_both_say_is_compared(redis: Redis) -> None:
    problem = Problem(kind="unparsed", detail="The answer is not JSON.")
    with shown(redis, lambda document, schema, adapter: said("Bob", "Cy", "Di", problems=(problem,))) as beside:
        champion = said("Ada", "Bob", usage=Usage(total_s=2.5))
        for _ in range(2):
            beside.offer(DOCUMENT, SCHEMA, champion, CANDIDATE)
        until(lambda: counted(redis).documents == 2)
    found = counted(redis)
    assert (found.agreed, found.only_champion, found.only_candidate) == (2, 2, 4)
    assert (found.champion_unparsed, found.candidate_unparsed, found.champion_s) == (0, 2, 5.0)
    assert (found.failed, found.spared) == (0, 0)


def test_a_candidate_that_fails_is_counted_and_goes_on(redis: Redis) -> None:
    def extract(document: Document, schema: ExtractionSchema, adapter: str) -> Extraction:
        raise BadOutput("nothing that can be read")

    with shown(redis, extract) as beside:
        for _ in range(3):
            beside.offer(DOCUMENT, SCHEMA, said(), CANDIDATE)
        until(lambda: counted(redis).failed == 3)
    assert counted(redis).documents == 0


def test_one_that_is_not_loaded_any_more_is_spared(redis: Redis) -> None:
    with shown(redis, lambda *_: pytest.fail("it is not loaded"), is_held=False) as beside:
        beside.offer(DOCUMENT, SCHEMA, said(), CANDIDATE)
        until(lambda: counted(redis).spared == 1)


def test_whoever_offers_never_waits(redis: Redis) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(document: Document, schema: ExtractionSchema, adapter: str) -> Extraction:
        begun.set()
        assert go_on.wait(30)
        return said()

    with shown(redis, slow) as beside:
        beside.offer(DOCUMENT, SCHEMA, said(), CANDIDATE)
        assert begun.wait(30)
        for _ in range(shadow.WAITING + 5):
            beside.offer(DOCUMENT, SCHEMA, said(), CANDIDATE)
        assert counted(redis).spared == 5
        go_on.set()
        until(lambda: counted(redis).documents == shadow.WAITING + 1)


def test_nobody_was_shown_anything(redis: Redis) -> None:
    assert shadow.counts(redis, CANDIDATE) is None
