"""A perfect model loses nothing by being asked in pieces: any annotation, any schema, any split, every task."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_schemas.schema import Task
from sluice_worker.protocol.answer import ANNOTATION_FIELD, answer
from sluice_worker.protocol.instruction import dump
from sluice_worker.protocol.merge import merge
from sluice_worker.protocol.parse import parse_strict
from sluice_worker.protocol.records import Record
from sluice_worker.protocol.split import split

TEXT = "Anna met Bruno in Oslo, and Bruno met Anna there."
VALUES = st.sampled_from(["Anna", "Bruno", "Oslo", "met", "elsewhere", 'a "quote"', ""])
LABELS = st.sampled_from([f"label {number}" for number in range(9)])
TYPES = st.sampled_from(["person", "place"])
ROLES = st.sampled_from(["who", "where", "when"])

ENTITIES = st.fixed_dictionaries({"entity": VALUES, "entity_type": LABELS})
RELATIONS = st.fixed_dictionaries(
    {"head": VALUES, "head_type": TYPES, "relation": LABELS, "tail": VALUES, "tail_type": TYPES}
)
# Knowledge graphs: some annotations say what a head is, some do not.
NODES = st.fixed_dictionaries({"head": VALUES, "relation": ROLES, "tail": VALUES}, optional={"head_type": LABELS})
EVENTS = st.fixed_dictionaries(
    {
        "event_type": LABELS,
        "event_trigger": VALUES,
        "arguments": st.lists(st.fixed_dictionaries({"argument": VALUES, "role": ROLES}), max_size=4),
    }
)
ITEMS = {"entity": ENTITIES, "relation": RELATIONS, "event": EVENTS}
PARTS = st.lists(ROLES, unique=True, max_size=3)


def item(task: Task, label: str, draw: st.DrawFn) -> Any:
    """One schema item that asks for `label`."""
    match task:
        case "SPO":
            return {"subject_type": draw(TYPES), "predicate": label, "object_type": draw(TYPES)}
        case "EE":
            return {"event_type": label, "trigger": True, "arguments": draw(PARTS)}
        case "EEA":
            return {"event_type": label, "arguments": draw(PARTS)}
        case "KG":
            return {"entity_type": label, "attributes": draw(PARTS)}
    return label


@st.composite
def exams(draw: st.DrawFn, task: Task) -> tuple[list[Any], list[Any]]:
    """A schema, and an annotation that may name labels outside it."""
    labels = draw(st.lists(LABELS, unique=True, max_size=9))
    schema = [item(task, label, draw) for label in labels]
    if task == "SPO":  # one predicate may join several pairs of types
        schema += [each for each in (item(task, label, draw) for label in labels[:3]) if each not in schema]
    items = NODES if task == "KG" else ITEMS[ANNOTATION_FIELD[task]]
    return schema, draw(st.lists(items, max_size=8))


@pytest.mark.parametrize("task", get_args(Task))
@given(data=st.data(), k=st.sampled_from([-1, 1, 2, 4, 6]))
def test_merged_answers_to_pieces_are_the_answer_to_the_whole(task: Task, data: st.DataObject, k: int) -> None:
    schema, annotation = data.draw(exams(task))
    labels = [*answer(task, schema, [], TEXT)]

    def records(asked: Any) -> tuple[Record, ...]:
        parsed = parse_strict(task, dump(answer(task, asked, annotation, TEXT)))
        assert (parsed.how, parsed.skipped) == ("strict", ())
        return parsed.records

    assert merge([records(asked) for asked in split(schema, k)], labels) == records(schema)
