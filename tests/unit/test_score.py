"""Strict scores: what counts as right, and the serving path that they are measured through."""

from collections import Counter
from typing import Any

import pytest

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import ExtractionSchema, Task
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.evaluation.score import Score, Tally, facts, gold_facts
from sluice_worker.evaluation.serve import Case, cases, schema_of, score
from sluice_worker.plan import Limits
from sluice_worker.protocol.answer import ANNOTATION_FIELD, answer
from sluice_worker.protocol.instruction import dump, schema_value
from sluice_worker.protocol.parse import parse
from sluice_worker.protocol.records import EntityRecord, EventRecord, NodeRecord, Record, RelationRecord
from sluice_worker.training import corpus

LIMITS = Limits(chunk_tokens=400, overlap_tokens=60, answer_tokens=500)


@pytest.mark.parametrize(
    ("correct", "predicted", "gold", "expected"),
    [
        (2, 4, 2, (0.5, 1.0, 2 / 3)),  # the usual case
        (0, 0, 0, (0.0, 0.0, 0.0)),  # nothing asked, nothing said
        (0, 3, 0, (0.0, 0.0, 0.0)),  # all made up
        (0, 0, 3, (0.0, 0.0, 0.0)),  # all missed
        (3, 3, 3, (1.0, 1.0, 1.0)),  # all right
    ],
)
def test_precision_recall_and_f1(correct: int, predicted: int, gold: int, expected: tuple[float, ...]) -> None:
    tally = Tally(correct, predicted, gold)
    assert (tally.precision, tally.recall, tally.f1) == pytest.approx(expected)


def test_a_value_said_twice_is_right_once() -> None:
    tally = Tally()
    tally.add(Counter({"a": 2, "b": 1}), Counter({"a": 1, "c": 1}))
    assert (tally.correct, tally.predicted, tally.gold) == (1, 3, 2)


def test_what_records_claim() -> None:
    records: list[Record] = [
        EntityRecord("Ann", "p"),
        RelationRecord("Acme", "by", "Ann"),
        NodeRecord("Acme", "org", (("1999", "year"), ("Paris", "city"))),
        EventRecord("start", "founded", (("Ann", "who"),)),
    ]
    assert facts(records) == {
        "fact": Counter([("Ann", "p"), ("Acme", "by", "Ann"), ("Acme", "year", "1999"), ("Acme", "city", "Paris")]),
        "trigger": Counter([("start", "founded")]),
        "argument": Counter([("start", "Ann", "who")]),
    }


EVENT = {
    "event_type": "e",
    "event_trigger": "t",
    "arguments": [{"role": "r", "argument": "a"}, {"role": "r", "argument": "a"}],
}


@pytest.mark.parametrize(
    ("task", "annotation", "expected"),
    [
        # a second mention of the same value is no second fact
        ("NER", [{"entity": "Ann", "entity_type": "p"}] * 2, {"fact": {("Ann", "p"): 1}}),
        ("RE", [{"head": "h", "relation": "r", "tail": "t"}] * 2, {"fact": {("h", "r", "t"): 1}}),
        # two events with one trigger are two; an argument counts once an event
        ("EE", [EVENT, EVENT], {"trigger": {("e", "t"): 2}, "argument": {("e", "a", "r"): 2}}),
        ("EET", [EVENT], {"trigger": {("e", "t"): 1}}),
        ("NER", [], {"fact": {}}),
    ],
)
def test_what_an_annotation_says(task: Task, annotation: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    assert gold_facts(task, annotation) == {level: Counter(found) for level, found in expected.items()}


def test_a_level_without_predictions_still_counts_its_gold() -> None:
    result = Score()
    result.add([], gold_facts("EE", [EVENT]))
    assert (result.documents, result.tallies["argument"].gold, result.tallies["trigger"].recall) == (1, 1, 0.0)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("task", ["NER", "RE", "EE", "EET"])
def test_a_perfect_answer_to_generated_text_scores_one(task: Task, language: str) -> None:
    """The gold of a row, its answer by the protocol and the parser agree."""
    source = corpus.generated(f"generated.{language}", seed=11, count=30)
    given = cases(source.rows, schema_of(source, task, source.rows[0].language))
    assert len(given) == 30
    for case in given:
        asked = [*schema_value(task, case.schema.types)]
        said = dump(answer(task, asked, case.annotation, case.text))
        result = Score()
        result.add(parse(task, said).records, gold_facts(task, case.annotation))
        assert all(tally.f1 == 1.0 or tally.gold == 0 for tally in result.tallies.values()), case.text


def ner(*names: str) -> ExtractionSchema:
    types = [{"name": name} for name in names]
    return ExtractionSchema.of({"id": "a", "version": 1, "task": "NER", "language": "en", "types": types})


def test_a_case_goes_through_plan_and_parser() -> None:
    given = [
        Case("Ann met Bob.", ner("p"), [{"entity": "Ann", "entity_type": "p"}]),
        Case("Zoe left.", ner("p"), [{"entity": "Zoe", "entity_type": "p"}]),
    ]
    engine = ScriptedEngine(lambda prompt: '{"p": ["Ann", "Bob"]}' if "Ann" in prompt else "no JSON")
    result = score(engine, given, limits=LIMITS)
    tally = result.tallies["fact"]
    assert (result.documents, result.unparsed) == (2, 1)
    assert (tally.correct, tally.predicted, tally.gold) == (1, 2, 2)


def test_what_two_chunks_of_a_case_both_say_counts_once() -> None:
    given = [Case("Ann met Bob again. " * 60, ner("p"), [{"entity": "Ann", "entity_type": "p"}])]
    engine = ScriptedEngine(lambda _: '{"p": ["Ann"]}')
    result = score(engine, given, limits=LIMITS)
    assert len(engine.prompts) > 2
    assert (result.tallies["fact"].predicted, result.tallies["fact"].f1) == (1, 1.0)


def test_a_case_that_cannot_be_extracted_costs_only_itself() -> None:
    def answered(prompt: str) -> str:
        if "Zoe" in prompt:
            raise BadInput("Too long.")
        return '{"p": ["Ann"]}'

    given = [Case(f"{name} left.", ner("p"), [{"entity": name, "entity_type": "p"}]) for name in ("Zoe", "Ann")]
    result = score(ScriptedEngine(answered), given, limits=LIMITS)
    tally = result.tallies["fact"]
    assert (result.documents, result.failed) == (2, 1)
    assert (tally.correct, tally.predicted, tally.gold) == (1, 1, 2)


def test_only_rows_with_the_annotation_are_cases() -> None:
    rows = [corpus.Row("a", "en", {"entity": []}), corpus.Row("b", "en", {"relation": []})]
    assert [each.text for each in cases(rows, ner("p"))] == ["a"]
    assert ANNOTATION_FIELD["NER"] == "entity"


def test_the_schema_of_a_source_has_its_labels_and_roles() -> None:
    source = corpus.of("my_source", (corpus.Row("a", "en", {"event": [EVENT]}),))
    schema = schema_of(source, "EE", "en")
    assert (schema.id, [each.name for each in schema.types]) == ("dev/my-source", ["e"])
    assert [role.name for role in schema.types[0].roles] == ["r"]
