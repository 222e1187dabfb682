"""Converted records through an engine: every record gets its line, in order, whatever the others hold."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Extraction, Mention, Problem, Relation
from sluice_schemas.schema import Task
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.evaluation.asked import Asked, read
from sluice_worker.evaluation.predict import WINDOW, Answer, predict
from sluice_worker.evaluation.queue import _answers, _orders, schema_of
from sluice_worker.protocol.instruction import build, dump
from sluice_worker.protocol.prompt import render

SCHEMAS: dict[Task, list[Any]] = {
    "NER": ["person", "place"],
    "RE": ["works for"],
    "SPO": [{"subject_type": "person", "predicate": "works for", "object_type": "company"}],
    "EE": [{"event_type": "meet", "trigger": True, "arguments": ["who", "where"]}],
    "EEA": [{"event_type": "meet", "arguments": ["who"]}],
    "EET": ["meet"],
    "KG": [{"entity_type": "person", "attributes": ["born in"]}],
}


def record(text: str, *, task: Task = "NER", schema: Any = None, **fields: Any) -> dict[str, Any]:
    asked = SCHEMAS[task] if schema is None else schema
    return {"id": "d", "task": task, "source": "s", "instruction": build(task, "en", asked, text), **fields}


def lines(records: Iterable[Any]) -> list[bytes]:
    return [(each if isinstance(each, str) else dump(each)).encode() + b"\n" for each in records]


def asked(*records: dict[str, Any]) -> list[Asked]:
    found = [*read(lines(records), task=None)]
    assert not [each for each in found if isinstance(each, BadInput)]
    return [each for each in found if isinstance(each, Asked)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2: the line is not JSON"),
        ("[]", "line 2: the line is no JSON object"),
        ('{"id": "d"}', "line 2: there is no instruction"),  # an unconverted file
        (json.dumps({"instruction": "{}", "task": "NER"}), "holds no instruction, schema and input"),
        (json.dumps({"instruction": build("NER", "en", [], "t")}), "names no task; add --task"),
        (json.dumps({"instruction": build("NER", "en", [], "t"), "source": ["s"]}), "the source is no string"),
        (json.dumps({"instruction": '{"instruction": [], "schema": [], "input": "t"}', "task": "NER"}), "holds no"),
        (json.dumps({"instruction": build("NER", "en", 3, "t"), "task": "NER"}), "neither a list nor an object"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(line: str, told: str) -> None:
    first, bad, last = read(lines([record("a"), line, "", record("b")]), task=None)
    assert isinstance(bad, BadInput)
    assert told in str(bad)
    assert [each.text for each in (first, last) if isinstance(each, Asked)] == ["a", "b"]


def test_a_record_without_a_task_takes_the_one_given() -> None:
    (found,) = read(lines([{"instruction": build("EET", "en", ["meet"], "t")}]), task="EET")
    assert isinstance(found, Asked)
    assert (found.task, found.schema, found.text) == ("EET", ["meet"], "t")


def answered(prompt: str) -> str:
    """The text that it was asked about, as the only person; one text cannot be answered."""
    if '"input": "bad"' in prompt:
        raise BadInput("Too long.")
    return dump({"person": [prompt.split('"input": "')[1].split('"')[0]]})


def test_answers_come_in_the_order_of_the_records() -> None:
    engine = ScriptedEngine(answered)
    wrong = BadInput("line 3: no")
    count = WINDOW * 2 + 5
    given: list[Asked | BadInput] = [*asked(*(record(f"t{number}") for number in range(count)))]
    given.insert(2, wrong)
    found = [*predict(engine, given, level="free", answer_tokens=50)]
    assert found[2] is wrong
    assert [each.output for each in found if isinstance(each, Answer)] == [
        dump({"person": [f"t{number}"]}) for number in range(count)
    ]
    assert engine.prompts[0] == render(asked(record("t0"))[0].instruction).text


def test_a_record_that_cannot_be_asked_gets_an_empty_answer_and_a_reason() -> None:
    good, bad, end = predict(
        ScriptedEngine(answered), asked(record("a"), record("bad"), record("c")), level="free", answer_tokens=50
    )
    assert isinstance(bad, Answer)
    assert (bad.output, bad.failure) == ("", "Too long.")
    assert all(isinstance(each, Answer) and each.output and not each.failure for each in (good, end))


def test_a_schema_of_another_task_is_refused_for_its_record_alone() -> None:
    wrong = asked(record("a", schema=[3]), record("b"))
    bad, good = predict(ScriptedEngine(answered), wrong, level="json", answer_tokens=50)
    assert isinstance(bad, Answer)
    assert "form" in bad.failure
    assert isinstance(good, Answer)
    assert not good.failure


@pytest.mark.parametrize("task", SCHEMAS)
def test_records_of_a_document_make_the_schema_that_asks_them_all(task: Task) -> None:
    schema = schema_of(asked(record("t", task=task)))
    assert (schema.task, schema.language, schema.labels_per_request) == (task, "en", -1)
    assert len(schema.types) == len(SCHEMAS[task])


def test_the_labels_are_asked_in_the_pieces_of_the_file() -> None:
    parts = asked(*(record("t", schema=labels) for labels in (["a", "b"], ["c", "d", "e"])))
    schema = schema_of(parts)
    assert [each.name for each in schema.types] == ["a", "b", "c", "d", "e"]
    assert schema.labels_per_request == 2


@pytest.mark.parametrize(
    ("given_record", "told"),
    [
        (record("t", schema={"person": "a human"}), "descriptions and examples"),  # as `--described` makes it
        (record("t", task="EE", schema={"m": {"m": "x", "trigger": True, "arguments": {"who": "y"}}}), "descriptions"),
        (record("t", task="EEA", schema=[{"event_type": "m", "trigger": ["met"], "arguments": []}]), "given triggers"),
        (record("t", schema=["a "]), "not valid"),  # no label that a schema may have
        (record("t", schema=[1]), "has not the form"),
        (record("t") | {"instruction": build("NER", "en", [0], "t").replace("[0]", "[" * 900 + "]" * 900)}, "the form"),
    ],
)
def test_what_no_schema_of_plain_labels_asks_cannot_go_through_the_queue(
    given_record: dict[str, Any], told: str
) -> None:
    (order,) = _orders(asked(given_record))
    assert order.schema is None
    assert told in order.failure


def test_equal_texts_are_documents_of_their_own() -> None:
    parts = [record("t", schema=labels) for labels in (["a"], ["b"], ["a"], ["b"])]
    orders = [*_orders(asked(*parts, record("u", schema=["a"])))]
    assert [[each.number for each in order.records] for order in orders] == [[1, 2], [3, 4], [5]]
    assert len({order.id for order in orders}) == 3


def extraction(task: Task, **fields: Any) -> Extraction:
    return Extraction(job_id="j", document_id="d", schema_ref="a@1", task=task, language="en", model="m", **fields)


def outputs(given_record: dict[str, Any], found: Extraction) -> list[tuple[Any, str]]:
    (order,) = _orders(asked(given_record))
    return [(each.output and json.loads(each.output), each.failure) for each in _answers(order, found)]


def test_a_predicate_between_several_types_is_answered_under_its_name() -> None:
    items = [{"subject_type": "p", "predicate": "born in", "object_type": kind} for kind in ("city", "country")]
    relation = Relation(type="born in", head=Mention(text="Ann", type="p"), tail=Mention(text="Oslo"))
    found = extraction("SPO", relations=(relation,))
    assert outputs(record("t", task="SPO", schema=items), found) == [
        ({"born in": [{"subject": "Ann", "object": "Oslo"}]}, "")
    ]


def test_answers_that_were_lost_on_the_way_are_told() -> None:
    lost = (Problem(kind="unparsed", detail="The answer is no JSON."),)
    nothing = extraction("NER", problems=lost)
    assert outputs(record("t"), nothing) == [("", "1 answers about its document were cut, unreadable or missing.")]
    some = extraction("NER", problems=lost, entities=(Mention(text="Ann", type="person"),))
    ((said, failure),) = outputs(record("t"), some)
    assert (said["person"], bool(failure)) == (["Ann"], True)
    assert outputs(record("t"), extraction("NER")) == [({"person": [], "place": []}, "")]
