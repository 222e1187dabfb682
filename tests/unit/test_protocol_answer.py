"""The answers that training teaches, by OneKE's rules; and that the parser reads them back."""

from typing import Any

import pytest

from sluice_schemas.schema import Task
from sluice_worker.protocol.answer import Annotation, answer
from sluice_worker.protocol.instruction import dump
from sluice_worker.protocol.parse import parse_strict

TEXT = "Ann founded Acme in Paris; Bob founded Apex. Ann left."

ENTITIES = [
    {"entity": "Bob", "entity_type": "p"},
    {"entity": "Ann", "entity_type": "p"},
    {"entity": "Acme", "entity_type": "c"},
    {"entity": "Ann", "entity_type": "p"},
]
RELATIONS = [
    {"head": "Acme", "head_type": "org", "relation": "by", "tail": "Ann", "tail_type": "per"},
    {"head": "Acme", "head_type": "org", "relation": "by", "tail": "Ann", "tail_type": "per"},
    {"head": "Apex", "head_type": "org", "relation": "by", "tail": "Bob", "tail_type": "per"},
    {"head": "Bob", "head_type": "per", "relation": "in", "tail": "Paris", "tail_type": "place"},
]
EVENTS = [
    {
        "event_type": "start",
        "event_trigger": "founded",
        "arguments": [{"role": "who", "argument": "Bob"}, {"role": "who", "argument": "Ann"}],
    },
    {"event_type": "start", "event_trigger": "", "arguments": []},
    {"event_type": "end", "event_trigger": "left", "arguments": [{"role": "who", "argument": "Ann"}]},
]


@pytest.mark.parametrize(
    ("task", "schema", "annotation", "expected"),
    [
        # annotation order, each value once, an empty list for what is not there
        ("NER", ["c", "p", "x"], ENTITIES, {"c": ["Acme"], "p": ["Bob", "Ann"], "x": []}),
        # triples once, head before tail
        ("RE", ["in", "by"], RELATIONS, {
            "in": [{"head": "Bob", "tail": "Paris"}],
            "by": [{"head": "Acme", "tail": "Ann"}, {"head": "Apex", "tail": "Bob"}],
        }),
        # only triples of the asked types; two items with one predicate share its key
        ("SPO", [
            {"subject_type": "org", "predicate": "by", "object_type": "place"},
            {"subject_type": "per", "predicate": "in", "object_type": "place"},
        ], RELATIONS, {"by": [], "in": [{"subject": "Bob", "object": "Paris"}]}),
        ("SPO", [
            {"subject_type": "org", "predicate": "by", "object_type": "place"},
            {"subject_type": "org", "predicate": "by", "object_type": "per"},
        ], RELATIONS, {"by": [{"subject": "Acme", "object": "Ann"}, {"subject": "Apex", "object": "Bob"}]}),
        ("EET", ["start", "end"], EVENTS, {"start": ["founded", ""], "end": ["left"]}),
        # several values in text order, NAN for none, an event that says nothing is left out
        ("EE", [{"event_type": "start", "trigger": True, "arguments": ["who", "why"]}], EVENTS, {
            "start": [{"trigger": "founded", "arguments": {"who": ["Ann", "Bob"], "why": "NAN"}}],
        }),
        # all arguments missing: no arguments at all
        ("EE", [{"event_type": "end", "trigger": True, "arguments": ["why"]}], EVENTS, {
            "end": [{"trigger": "left", "arguments": {}}],
        }),
        # none of its arguments asked for, and no trigger: still an event
        ("EE", [{"event_type": "start", "trigger": True, "arguments": ["why"]}],
         [{"event_type": "start", "arguments": [{"role": "who", "argument": "Ann"}]}],
         {"start": [{"trigger": "NAN", "arguments": {}}]}),
        # a value that reads NAN is one
        ("EE", [{"event_type": "start", "trigger": True, "arguments": ["who", "why"]}],
         [{"event_type": "start", "arguments": [{"role": "who", "argument": "NAN"}]}],
         {"start": [{"trigger": "NAN", "arguments": {"who": "NAN", "why": "NAN"}}]}),
        # a schema that asks for no trigger gets none
        ("EE", [{"event_type": "end", "trigger": False, "arguments": ["who"]}], EVENTS, {
            "end": [{"arguments": {"who": "Ann"}}],
        }),
        # a head stands under its own type only, in text order, without attributes that it lacks
        ("KG", [{"entity_type": "org", "attributes": ["by", "in"]}], RELATIONS[1:], {
            "org": {"Acme": {"by": "Ann"}, "Apex": {"by": "Bob"}},
        }),
        ("KG", [{"entity_type": "place", "attributes": ["by"]}], RELATIONS, {"place": {}}),
    ],
)  # fmt: skip
def test_the_answer_of_each_task(
    task: Task, schema: list[Any], annotation: Annotation, expected: dict[str, Any]
) -> None:
    given = answer(task, schema, annotation, TEXT)
    assert given == expected
    assert [*given] == [*expected], "labels keep the order of the schema"
    assert parse_strict(task, dump(given)).ok


def test_a_head_without_annotated_type_stands_under_each_type() -> None:
    annotation = [{"head": "Acme", "relation": "by", "tail": "Ann"}]
    schema = [{"entity_type": name, "attributes": ["by"]} for name in ("org", "per")]
    assert answer("KG", schema, annotation, TEXT) == {"org": {"Acme": {"by": "Ann"}}, "per": {"Acme": {"by": "Ann"}}}


def test_events_stand_in_the_order_of_their_triggers() -> None:
    events = [
        {"event_type": "e", "event_trigger": trigger, "arguments": [{"role": "r", "argument": "Ann"}]}
        for trigger in ("left", "founded")
    ]
    given = answer("EE", [{"event_type": "e", "trigger": True, "arguments": ["r"]}], events, TEXT)
    assert [each["trigger"] for each in given["e"]] == ["founded", "left"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("task", ["NER", "RE", "SPO", "KG"])
def test_many_facts_take_no_long_time(task: Task) -> None:
    facts = [
        {"entity": f"a{n}", "entity_type": "p", "head": f"a{n}", "head_type": "p", "relation": "r", "tail": f"b{n}"}
        | {"tail_type": "q"}
        for n in range(20_000)
    ]
    asked: dict[Task, list[Any]] = {
        "NER": ["p"],
        "RE": ["r"],
        "SPO": [{"subject_type": "p", "predicate": "r", "object_type": "q"}],
        "KG": [{"entity_type": "p", "attributes": ["r"]}],
    }
    ((_, found),) = answer(task, asked[task], facts * 2, "").items()
    assert len(found) == 20_000
