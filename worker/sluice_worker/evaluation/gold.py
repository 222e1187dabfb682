"""The gold of a prediction file: what its `label` says, as the original reads it, neither cleaned nor joined."""

from collections.abc import Callable, Mapping
from typing import Any

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Task
from sluice_worker.evaluation.score import countable
from sluice_worker.protocol.json_text import exact
from sluice_worker.protocol.records import EntityRecord, EventRecord, Record, RelationRecord


def gold_records(task: Task, label: str) -> list[Record]:
    """The records in a label (OneKE's protocol, section 9, gold); KG gives its triples as relations.

    Values may be any JSON, as a value that no answer can hold still counts as missed. Raises `BadInput` for a label
    that is no JSON list of objects, or an object without the fields that the task needs.
    """
    try:
        annotation = exact(label)
    except (ValueError, RecursionError):
        raise BadInput("its label is not JSON; write the annotation as a JSON string") from None
    if not isinstance(annotation, list) or not all(isinstance(item, dict) for item in annotation):
        raise BadInput("its label is not a JSON list of objects; write one object for each annotated fact")
    read = _READERS[task]
    return [read(item) for item in annotation]


def _entity(item: Mapping[str, Any]) -> Record:
    return EntityRecord(_value(item, "entity"), _name(item, "entity_type"))


def _relation(item: Mapping[str, Any]) -> Record:
    filled = {"head": "", "relation": "", "tail": "", **item}
    return RelationRecord(_value(filled, "head"), _name(filled, "relation"), _value(filled, "tail"))


def _event(item: Mapping[str, Any]) -> Record:
    return EventRecord(_name(item, "event_type"), _value(item, "event_trigger"), _arguments(item))


def _triggered(item: Mapping[str, Any]) -> Record:
    return EventRecord(_name(item, "event_type"), _value(item, "event_trigger"))


def _untriggered(item: Mapping[str, Any]) -> Record:
    """The original puts "" in the place of an EEA trigger."""
    return EventRecord(_name(item, "event_type"), "", _arguments(item))


def _arguments(item: Mapping[str, Any]) -> tuple[tuple[Any, str], ...]:
    parts = item.get("arguments")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise BadInput("an event of its label has no `arguments` list of objects; an event without any has []")
    return tuple((_value(part, "argument"), _name(part, "role")) for part in parts)


def _value(item: Mapping[str, Any], field: str) -> Any:
    if field not in item:
        raise BadInput(f"an object of its label has no `{field}`; add it")
    return countable(item[field])


def _name(item: Mapping[str, Any], field: str) -> str:
    name = item.get(field)
    if not isinstance(name, str):
        raise BadInput(f"an object of its label has no `{field}` that is a string; add it")
    return name


_READERS: dict[Task, Callable[[Mapping[str, Any]], Record]] = {
    "NER": _entity,
    "RE": _relation,
    "SPO": _relation,
    "KG": _relation,
    "EE": _event,
    "EET": _triggered,
    "EEA": _untriggered,
}
