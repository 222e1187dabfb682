"""The answer a model should give to one instruction (OneKE's protocol, section 8): what training teaches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sluice_schemas.schema import Task
from sluice_worker.protocol.records import ABSENT

T = TypeVar("T")

Annotation = Sequence[Mapping[str, Any]]
"""The items of a document's `entity`, `relation` or `event` field (section 1)."""

ANNOTATION_FIELD: dict[Task, str] = {
    "NER": "entity",
    "RE": "relation",
    "SPO": "relation",
    "KG": "relation",
    "EE": "event",
    "EET": "event",
    "EEA": "event",
}

LABEL_KEY: dict[str, str] = {"entity": "entity_type", "relation": "relation", "event": "event_type"}
"""By the same field, what names the label of an item."""


def answer(task: Task, schema: Sequence[Any], annotation: Annotation, text: str) -> dict[str, Any]:
    """The answer object: one key for each label of `schema` (a chunk of the list form), in its order.

    Values keep the order of `annotation`; several values of one role or attribute stand in text order.
    """
    match task:
        case "NER":
            return {name: _entities(annotation, name) for name in schema}
        case "RE":
            return {name: _triples(annotation, name) for name in schema}
        case "SPO":
            return _typed_triples(schema, annotation)
        case "EET":
            return {name: [event["event_trigger"] for event in _of_type(annotation, name)] for name in schema}
        case "KG":
            return {item["entity_type"]: _attributes(item, annotation, text) for item in schema}
    return {item["event_type"]: _events(item, annotation, text) for item in schema}


def _unique(values: Iterable[T]) -> list[T]:
    return [*dict.fromkeys(values)]


def _entities(annotation: Annotation, name: str) -> list[str]:
    return _unique(entity["entity"] for entity in annotation if entity["entity_type"] == name)


def _triples(annotation: Annotation, name: str) -> list[dict[str, str]]:
    ends = _unique((each["head"], each["tail"]) for each in annotation if each["relation"] == name)
    return [{"head": head, "tail": tail} for head, tail in ends]


def _typed_triples(schema: Sequence[Any], annotation: Annotation) -> dict[str, Any]:
    """Two items of a chunk may share a predicate: their triples share its key (the original loses the first)."""
    answered: dict[str, list[tuple[str, str]]] = {item["predicate"]: [] for item in schema}
    for item in schema:
        wanted = (item["subject_type"], item["predicate"], item["object_type"])
        found = [each for each in annotation if (each["head_type"], each["relation"], each["tail_type"]) == wanted]
        answered[item["predicate"]] += [(each["head"], each["tail"]) for each in found]
    return {
        name: [{"subject": head, "object": tail} for head, tail in _unique(ends)] for name, ends in answered.items()
    }


def _of_type(annotation: Annotation, name: str) -> list[Mapping[str, Any]]:
    return [event for event in annotation if event["event_type"] == name]


def _events(item: Mapping[str, Any], annotation: Annotation, text: str) -> list[dict[str, Any]]:
    """An event that says nothing is left out: without trigger and arguments, whatever is asked."""
    stated = [
        _event(event, item["arguments"], text)
        for event in _of_type(annotation, item["event_type"])
        if event.get("event_trigger") or event["arguments"]
    ]
    if not item.get("trigger", True):
        return [{"arguments": event["arguments"]} for event in stated if event["arguments"]]
    return sorted(stated, key=lambda event: text.find(event["trigger"]))


def _event(event: Mapping[str, Any], roles: Iterable[str], text: str) -> dict[str, Any]:
    found = {role: _values(role, event["arguments"], text) for role in roles}
    arguments = {role: _one_or_many(values) if values else ABSENT for role, values in found.items()}
    return {"trigger": event.get("event_trigger") or ABSENT, "arguments": arguments if any(found.values()) else {}}


def _values(role: str, arguments: Annotation, text: str) -> list[str]:
    values = _unique(each["argument"] for each in arguments if each["role"] == role and each["argument"])
    return sorted(values, key=text.find)


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _attributes(item: Mapping[str, Any], annotation: Annotation, text: str) -> dict[str, dict[str, Any]]:
    """Heads in text order. A head whose type is annotated stands under its own type only, any other under each."""
    heads = _unique(
        each["head"] for each in annotation if each.get("head_type", item["entity_type"]) == item["entity_type"]
    )
    tails: dict[tuple[str, str], list[str]] = {}
    for each in annotation:
        tails.setdefault((each["head"], each["relation"]), []).append(each["tail"])
    return {head: _facts(head, item["attributes"], tails, text) for head in sorted(heads, key=text.find)}


def _facts(
    head: str, attributes: Iterable[str], tails: Mapping[tuple[str, str], Sequence[str]], text: str
) -> dict[str, Any]:
    values = {name: sorted(tails.get((head, name), ()), key=text.find) for name in attributes}
    return {name: _one_or_many(found) for name, found in values.items() if found}
