"""From a raw answer to records: strictly, as scores need it, or so that as much as possible can be used."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sluice_schemas.schema import Task
from sluice_worker.protocol.json_text import exact
from sluice_worker.protocol.records import ABSENT, EntityRecord, EventRecord, NodeRecord, Record, RelationRecord
from sluice_worker.protocol.repair import repair

How = Literal["strict", "repaired", "unparsed"]


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an answer says. `skipped` names every part that was left out, in a few words each; long labels are cut.

    `is_cut` says that the answer ended before its JSON did.
    """

    how: How
    records: tuple[Record, ...] = ()
    skipped: tuple[str, ...] = ()
    is_cut: bool = False

    @property
    def ok(self) -> bool:
        return self.how != "unparsed"


def parse_strict(task: Task, raw: str) -> Parsed:
    """Exactly the rules by which OneKE is scored (its protocol, section 9): plain JSON, nothing trimmed or mended.

    RE takes head/tail and subject/object. Where the original crashes, the bad part is skipped. Never raises.
    """
    value = _loaded(raw)
    return Parsed("unparsed") if value is None else _read(task, value, "strict")


def parse(task: Task, raw: str) -> Parsed:
    """What can be used of an answer: strictly if that works, else repaired. Never raises.

    Beyond `parse_strict` it takes EEA's flat roles (section 13; counted as repaired), drops values that cannot stand
    in a text (blank, no string, undecodable), writes numbers as text, and turns the trigger "NAN" into "".
    """
    value = _loaded(raw)
    how: How = "strict"
    is_cut = False
    if value is None:
        repaired = repair(raw)
        if repaired is None:
            return Parsed("unparsed")
        value, is_cut, how = repaired.value, repaired.is_cut, "repaired"
    if task == "EEA" and _is_flat(value):
        value, how = _deepened(value), "repaired"
    read = _read(task, value, how)
    kept, dropped = _split([_usable(record) for record in read.records])
    return Parsed(how, kept, (*read.skipped, *dropped), is_cut)


def _loaded(raw: str) -> dict[str, Any] | None:
    try:
        value = exact(raw)
    except (ValueError, RecursionError):  # a number of over 4,300 digits is a ValueError too
        return None
    return value if isinstance(value, dict) else None


def _read(task: Task, answer: dict[str, Any], how: How) -> Parsed:
    read = _READERS[task]
    records, skipped = _split([part for label, value in answer.items() for part in read(label, value)])
    return Parsed(how, records, skipped)


def _split(parts: list[Record | str]) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    records = tuple(part for part in parts if not isinstance(part, str))
    return records, tuple(part for part in parts if isinstance(part, str))


def _each(label: str, value: Any, kind: type, read: Callable[[str, Any], Record | str]) -> Iterator[Record | str]:
    """Reads the items of a list that have the wanted kind; a few words for what else there is."""
    if not isinstance(value, list):
        yield f"{label:.80}: not a list"
        return
    for index, item in enumerate(value):
        yield read(label, item) if isinstance(item, kind) else f"{label:.80}[{index}]: not {_KINDS[kind]}"


_KINDS: dict[type, str] = {str: "a string", dict: "an object"}


def _entities(label: str, value: Any) -> Iterator[Record | str]:
    return _each(label, value, str, lambda label, item: EntityRecord(item, label))


def _triggers(label: str, value: Any) -> Iterator[Record | str]:
    return _each(label, value, str, EventRecord)


def _relations(label: str, value: Any) -> Iterator[Record | str]:
    return _each(label, value, dict, _relation)


def _relation(label: str, item: dict[str, Any]) -> Record | str:
    head = item.get("head", item.get("subject", ""))
    tail = item.get("tail", item.get("object", ""))
    if isinstance(head, str) and isinstance(tail, str):
        return RelationRecord(head, label, tail)
    return f"{label:.80}: a head or tail that is no string"


def _events(label: str, value: Any) -> Iterator[Record | str]:
    return _each(label, value, dict, _event)


def _event(label: str, item: dict[str, Any]) -> Record | str:
    trigger, roles = item.get("trigger", ""), item.get("arguments", {})
    if not isinstance(trigger, str):
        return f"{label:.80}: a trigger that is no string"
    named = roles.items() if isinstance(roles, dict) else ()
    pairs = ((each, role) for role, value in named for each in (value if isinstance(value, list) else [value]))
    return EventRecord(label, trigger, tuple(pair for pair in pairs if pair[0] != ABSENT))


def _nodes(label: str, value: Any) -> Iterator[Record | str]:
    if not isinstance(value, dict):
        yield f"{label:.80}: not an object"
        return
    for head, attributes in value.items():
        if isinstance(attributes, dict):
            yield NodeRecord(head, label, tuple(_attributes(attributes)))
        else:
            yield f"{label:.80}: an entity without an object of attributes"


def _attributes(attributes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and each.lower() not in ("无", "nan"):
                yield each, name


_READERS = {
    "NER": _entities,
    "RE": _relations,
    "SPO": _relations,
    "EE": _events,
    "EEA": _events,
    "EET": _triggers,
    "KG": _nodes,
}


def _is_flat(answer: dict[str, Any]) -> bool:
    return any(_is_flat_event(item) for value in answer.values() if isinstance(value, list) for item in value)


def _is_flat_event(item: Any) -> bool:
    return isinstance(item, dict) and "arguments" not in item and any(key != "trigger" for key in item)


def _deepened(answer: dict[str, Any]) -> dict[str, Any]:
    """Puts flat roles under `arguments`, where they stand in the other form."""
    return {
        label: [_deepened_event(item) for item in value] if isinstance(value, list) else value
        for label, value in answer.items()
    }


def _deepened_event(item: Any) -> Any:
    if not _is_flat_event(item):
        return item
    roles = {role: value for role, value in item.items() if role != "trigger"}
    return {"trigger": item.get("trigger", ""), "arguments": roles}


def _usable(record: Record) -> Record | str:
    match record:
        case EntityRecord():
            return record if _is_text(record.text) else f"{record.type:.80}: an unusable value"
        case RelationRecord():
            is_whole = _is_text(record.head) and _is_text(record.tail)
            return record if is_whole else f"{record.relation:.80}: a triple without head or tail"
        case EventRecord():
            return _usable_event(record)
        case NodeRecord():
            attributes = tuple(pair for pair in record.attributes if _is_text(pair[0]))
            node = NodeRecord(record.text, record.type, attributes)
            return node if _is_text(node.text) else f"{record.type:.80}: an entity without a name"


def _usable_event(event: EventRecord) -> Record | str:
    trigger = event.trigger if event.trigger != ABSENT and _is_text(event.trigger) else ""
    pairs = ((_written(value), role) for value, role in event.arguments)
    arguments = tuple(pair for pair in pairs if all(map(_is_text, pair)))
    if not trigger and not arguments:
        return f"{event.type:.80}: an event without trigger and arguments"
    return EventRecord(event.type, trigger, arguments)


def _written(value: Any) -> Any:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole or (isinstance(value, float) and math.isfinite(value)) else value


def _is_text(value: Any) -> bool:
    """Whether it can stand in a document: a string, not blank, without halves of surrogate pairs."""
    return isinstance(value, str) and bool(value.strip()) and not any("\ud800" <= char <= "\udfff" for char in value)
