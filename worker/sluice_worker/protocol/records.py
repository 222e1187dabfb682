"""What an answer says, one record a fact, before anything is looked up in the text."""

from dataclasses import dataclass
from typing import Any

ABSENT = "NAN"
"""How an answer says that an event has no trigger or no such argument (OneKE's protocol, section 8)."""


@dataclass(frozen=True, slots=True)
class EntityRecord:
    """NER: a value and its entity type."""

    text: str
    type: str


@dataclass(frozen=True, slots=True)
class RelationRecord:
    """RE and SPO: `relation` is the predicate."""

    head: str
    relation: str
    tail: str


@dataclass(frozen=True, slots=True)
class EventRecord:
    """EE, EEA and EET: `arguments` holds (value, role) pairs in answer order; an EET event has none.

    A record of `parse_strict` may hold a value that is no string; one of `parse` never does, and its `trigger` is
    "" when the model named none.
    """

    type: str
    trigger: str
    arguments: tuple[tuple[Any, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """KG: an entity with its `attributes` as (value, name) pairs, one pair a value. It may have none."""

    text: str
    type: str
    attributes: tuple[tuple[str, str], ...] = ()


Record = EntityRecord | RelationRecord | EventRecord | NodeRecord


def label_of(record: Record) -> str:
    """The label the record answers: an entity type, a relation or predicate, or an event type."""
    return record.relation if isinstance(record, RelationRecord) else record.type


def values_of(record: Record) -> tuple[str, ...]:
    """Every value the record names, in answer order: an event's trigger, if any, then its arguments."""
    match record:
        case EntityRecord():
            return (record.text,)
        case RelationRecord():
            return (record.head, record.tail)
        case EventRecord():
            return (*((record.trigger,) if record.trigger else ()), *(value for value, _ in record.arguments))
        case NodeRecord():
            return (record.text, *(value for value, _ in record.attributes))


def triples_of(node: NodeRecord) -> tuple[tuple[str, str, str], ...]:
    """A node as (head, attribute, value) triples: how KG answers are scored (OneKE's protocol, section 9)."""
    return tuple((node.text, name, value) for value, name in node.attributes)
