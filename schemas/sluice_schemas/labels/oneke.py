"""Labels in OneKE's annotated form: one line a document with its text and its `entity`, `relation` or `event` list.

The form has no spans: reading it gives values, which get their places when the label is kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Argument, EventMention, Mention, Relation
from sluice_schemas.label import Label
from sluice_schemas.schema import Task

FIELD: dict[Task, str] = {
    "NER": "entity",
    "RE": "relation",
    "SPO": "relation",
    "KG": "relation",
    "EE": "event",
    "EET": "event",
    "EEA": "event",
}
ABSENT = "NAN"
"""How an annotation says that an event has no trigger."""

Facts = dict[str, Any]
"""The entities, relations and events of a label."""


def read(fields: Mapping[str, Any], task: Task) -> Facts:
    """The facts of a line; what it says twice of the same words counts once. Raises `BadInput`."""
    items = fields.get(FIELD[task])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadInput(f"A line for {task} needs {FIELD[task]!r}, a list of objects; [] where there is nothing.")
    match FIELD[task]:
        case "entity":
            return {"entities": [*_entities(items, str(fields.get("text", "")))]}
        case "relation":
            relations = [*dict.fromkeys(_relation(item, number) for number, item in enumerate(items))]
            heads = dict.fromkeys(each.head for each in relations) if task == "KG" else ()
            return {"relations": relations, "entities": [each for each in heads if each.type]}
    return {"events": [*dict.fromkeys(_event(item, number) for number, item in enumerate(items))]}


def write(label: Label, task: Task) -> dict[str, Any]:
    """The line of a label, with its document's id. An entity of a graph that has no attribute has no place in it."""
    items = {"entity": _entity_items, "relation": _relation_items, "event": _event_items}[FIELD[task]](label)
    return {"id": label.document.id, "text": label.document.text, FIELD[task]: [*items]}


def _entities(items: Iterable[Mapping[str, Any]], text: str) -> Iterator[Mention]:
    given: Counter[Mention] = Counter()
    for number, item in enumerate(items):
        mention = Mention(text=_value(item, "entity", number), type=_value(item, "entity_type", number))
        given[mention] += 1
        # As often as it stands in the text it may be said; beyond that it is said again.
        if given[mention] <= max(1, text.count(mention.text)):
            yield mention


def _relation(item: Mapping[str, Any], number: int) -> Relation:
    head, tail = (
        Mention(text=_value(item, end, number), type=_value(item, f"{end}_type", number, default="") or None)
        for end in ("head", "tail")
    )
    return Relation(type=_value(item, "relation", number), head=head, tail=tail)


def _event(item: Mapping[str, Any], number: int) -> EventMention:
    trigger = _value(item, "event_trigger", number, default=ABSENT)
    parts = item.get("arguments", [])
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise BadInput(f"event[{number}] needs arguments, a list of objects; [] where there are none.")
    arguments = [
        Argument(role=_value(part, "role", number), value=Mention(text=value))
        for part in parts
        if (value := _value(part, "argument", number)) not in ("", ABSENT)
    ]
    return EventMention(
        type=_value(item, "event_type", number),
        trigger=None if trigger in ("", ABSENT) else Mention(text=trigger),
        arguments=tuple(dict.fromkeys(arguments)),
    )


def _value(item: Mapping[str, Any], name: str, number: int, *, default: str | None = None) -> str:
    value = item.get(name, default)
    if not isinstance(value, str):
        raise BadInput(f"Item {number} of the line needs {name!r}, a string.")
    return value


def _entity_items(label: Label) -> Iterator[dict[str, Any]]:
    for each in label.entities:
        yield {"entity": each.text, "entity_type": each.type}


def _relation_items(label: Label) -> Iterator[dict[str, Any]]:
    for each in label.relations:
        types = {f"{name}_type": end.type for name, end in (("head", each.head), ("tail", each.tail)) if end.type}
        yield {"head": each.head.text, "relation": each.type, "tail": each.tail.text, **types}


def _event_items(label: Label) -> Iterator[dict[str, Any]]:
    for each in label.events:
        arguments = [{"argument": part.value.text, "role": part.role} for part in each.arguments]
        trigger = each.trigger.text if each.trigger else ABSENT
        yield {"event_trigger": trigger, "event_type": each.type, "arguments": arguments}
