"""A trial counts what an engine says through the serving path: right, wrong, unreadable, unsteady."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput, EngineDead, Misconfigured
from sluice_schemas.extraction import Mention, Span
from sluice_schemas.label import Label
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.evaluation import golden_set, trial
from sluice_worker.plan import Limits

PEOPLE = ExtractionSchema(
    id="own/people", version=1, task="NER", language="en", types=(Type(name="person"), Type(name="city"))
)
LIMITS = Limits(chunk_tokens=1000, overlap_tokens=0, answer_tokens=500)


def label(text: str, *people: str) -> Label:
    entities = tuple(
        Mention(
            text=each,
            type="person",
            span=Span(start=text.index(each), end=text.index(each) + len(each)),
            status="exact",
        )
        for each in people
    )
    document = Document(id=text[:20], text=text)
    return Label(document=document, schema_ref=PEOPLE.ref, verdict="corrected", author="kim", entities=entities)


LABELS = [label("Ada met Bob.", "Ada", "Bob"), label("Cy was there.", "Cy"), label("Nobody came.")]


def tried(script: Callable[[str], str], *, runs: int = trial.RUNS) -> trial.SchemaTrial:
    cases = trial.cases_of(LABELS, {PEOPLE.ref: PEOPLE})
    return trial.run(ScriptedEngine(script), cases, limits=LIMITS, runs=runs).schemas[PEOPLE.ref]


def said(**found: list[str]) -> str:
    return orjson.dumps({"person": [], "city": [], **found}).decode()


FOUNDED = "Acme of Paris was founded by Ann."
ACME = {"text": "Acme", "type": "company"}
FOUNDING = [{"name": "founding", "roles": [{"name": "who"}]}]
BY_ANN = {"type": "founding", "arguments": [{"role": "who", "value": {"text": "Ann"}}]}


@pytest.mark.parametrize(
    ("task", "types", "facts", "answer"),
    [
        (
            "RE",
            [{"name": "in"}],
            {"relations": [{"type": "in", "head": ACME, "tail": {"text": "Paris"}}]},
            [{"head": "Acme", "tail": "Paris"}],
        ),
        # An entity of a graph is no fact of its own.
        (
            "KG",
            [{"name": "company", "attributes": [{"name": "in"}]}],
            {"entities": [ACME], "relations": [{"type": "in", "head": ACME, "tail": {"text": "Paris"}}]},
            {"Acme": {"in": "Paris"}},
        ),
        (
            "EE",
            FOUNDING,
            {"events": [{**BY_ANN, "trigger": {"text": "founded"}}]},
            [{"trigger": "founded", "arguments": {"who": "Ann"}}],
        ),
        # No trigger is "NAN" in answers and annotations.
        ("EE", FOUNDING, {"events": [BY_ANN]}, [{"trigger": "NAN", "arguments": {"who": "Ann"}}]),
        (
            "EET",
            [{"name": "founding"}],
            {"events": [{"type": "founding", "trigger": {"text": "founded"}}]},
            ["founded"],
        ),
        # Who is asked for arguments need not name the trigger.
        ("EEA", FOUNDING, {"events": [{**BY_ANN, "trigger": {"text": "founded"}}]}, [{"arguments": {"who": "Ann"}}]),
    ],
)
def test_what_the_label_says_is_right_in_every_task(task: str, types: Any, facts: Any, answer: Any) -> None:
    schema = ExtractionSchema.of({"id": "own/x", "version": 1, "task": task, "language": "en", "types": types})
    fields = {"document": {"id": "d", "text": FOUNDED}, "schema_ref": schema.ref, "verdict": "corrected", "author": "k"}
    engine = ScriptedEngine(lambda _: orjson.dumps({types[0]["name"]: answer}).decode())
    cases = trial.cases_of([Label.of({**fields, **facts})], {schema.ref: schema})
    assert trial.run(engine, cases, limits=LIMITS, runs=1).schemas[schema.ref].f1s == (100.0,)


def test_every_document_has_its_row() -> None:
    def script(prompt: str) -> str:
        if "Ada" in prompt:
            return said(person=["Ada", "Eve"])
        return said(city=["Cy"]) if "Cy" in prompt else said()

    found = tried(script)
    assert found.rows == {"fact": ((1, 2, 2), (0, 1, 1), (0, 0, 0))}
    assert found.labels == {"fact": {"person": (1, 2, 3), "city": (0, 1, 0)}}
    assert (found.documents, found.requests, found.unparsed, found.unstable) == (3, 3, 0, 0)
    # "Eve" stands nowhere.
    assert (found.values, found.ungrounded) == (3, 1)
    assert found.f1s == (33.333,) * 3
    assert len(found.seconds) == 3


def test_what_cannot_be_read_is_counted() -> None:
    found = tried(lambda prompt: "no JSON at all" if "Cy" in prompt else said(), runs=1)
    assert (found.unparsed, found.rows["fact"][1]) == (1, (0, 0, 1))


def test_a_document_that_fails_counts_as_nothing_found() -> None:
    def script(prompt: str) -> str:
        if "Cy" in prompt:
            raise BadInput("it is odd")
        return said(person=["Ada"]) if "Ada" in prompt else said()

    found = tried(script, runs=1)
    assert found.failed == {"BadInput": 1}
    assert found.rows["fact"] == ((1, 1, 2), (0, 0, 1), (0, 0, 0))
    assert [each is None for each in found.seconds] == [False, True, False]


def test_an_engine_that_warms_up_is_not_slow() -> None:
    asked: list[str] = []

    def script(prompt: str) -> str:
        asked.append(prompt)
        time.sleep(0.5 if len(asked) <= len(LABELS) else 0.0)
        return said()

    assert all(each is not None and each < 0.4 for each in tried(script).seconds)


def test_a_dead_engine_is_no_answer() -> None:
    def script(prompt: str) -> str:
        raise EngineDead

    with pytest.raises(EngineDead):
        tried(script)


def test_runs_that_differ_are_told() -> None:
    asked: list[str] = []

    def script(prompt: str) -> str:
        asked.append(prompt)
        return said(person=["Ada"] if asked.count(prompt) > 1 else ["Bob"]) if "Ada" in prompt else said()

    found = tried(script)
    assert (found.unstable, found.rows["fact"][0]) == (1, (1, 1, 2))


def test_it_tells_how_far_it_is_and_can_be_stopped() -> None:
    shares: list[float] = []
    cases = trial.cases_of(LABELS, {PEOPLE.ref: PEOPLE})
    engine = ScriptedEngine(lambda _: said())
    trial.run(engine, cases, limits=LIMITS, runs=2, on_progress=shares.append)
    assert shares == [pytest.approx(i / 6) for i in range(1, 7)]

    class Enough(Exception):
        pass

    def stop(share: float) -> None:
        raise Enough

    many = {PEOPLE.ref: cases[PEOPLE.ref] * 200}
    engine = ScriptedEngine(lambda _: said())
    with pytest.raises(Enough):
        trial.run(engine, many, limits=LIMITS, on_progress=stop)
    assert len(engine.prompts) < 300


class TestGoldenSet:
    def test_its_documents_and_what_is_near_are_known(self) -> None:
        text = "The committee of the northern district met on Tuesday to hear what the two engineers had to say. " * 3
        families = golden_set.Families([label(text)])
        assert families.holds(text.upper())
        assert families.holds(text.replace("Tuesday", "Monday", 1))
        assert not families.holds("Another text altogether, about ships and the sea.")
        assert not golden_set.Families([]).holds(text)

    def test_it_is_read_as_labels_are_written(self, tmp_path: Path) -> None:
        path = tmp_path / "golden.jsonl"
        path.write_bytes(b"\n\n".join(each.encode() for each in LABELS))
        before = golden_set.digest(path)
        assert golden_set.read(path) == LABELS
        path.write_bytes(path.read_bytes() + b'\n{"v": 1}\n')
        assert golden_set.digest(path) != before
        with pytest.raises(Misconfigured, match=r"golden\.jsonl, line 6 is no label"):
            golden_set.read(path)

    def test_one_that_says_nothing_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "empty.jsonl").write_text("\n")
        for name, why in (("empty.jsonl", "holds no labels"), ("nowhere.jsonl", "cannot be read"), (".", "cannot be")):
            with pytest.raises(Misconfigured, match=why):
                golden_set.read(tmp_path / name)
