"""Strict scores: a fact counts when its type and all its values are right to the character."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice_schemas.schema import Task
from sluice_worker.protocol.records import (
    ABSENT,
    EntityRecord,
    EventRecord,
    NodeRecord,
    Record,
    RelationRecord,
    triples_of,
)

Facts = dict[str, Counter[Any]]
"""What records or an annotation claim: level -> comparable tuples, each with the times it is said."""


@dataclass(slots=True)
class Tally:
    """True positives, predicted and gold facts over documents. P, R and F1 are shares in 0..1, 0 where undefined."""

    correct: int = 0
    predicted: int = 0
    gold: int = 0

    def add(self, predicted: Counter[Any], gold: Counter[Any]) -> None:
        """Counts one document by multiset intersection (OneKE's protocol, section 9)."""
        self.correct += (predicted & gold).total()
        self.predicted += predicted.total()
        self.gold += gold.total()

    @property
    def precision(self) -> float:
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        total = self.predicted + self.gold
        return 2 * self.correct / total if total else 0.0


@dataclass(slots=True)
class Score:
    """Level -> tally. NER, RE, SPO and KG have the level `fact`; event tasks `trigger` and `argument`."""

    documents: int = 0
    unparsed: int = 0
    failed: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)

    def add(self, predicted: Iterable[Record], gold: Mapping[str, Counter[Any]]) -> None:
        """Counts one document; `gold` comes from `gold_facts`."""
        self.documents += 1
        found = facts(predicted)
        for level in gold:
            self.tallies.setdefault(level, Tally()).add(found.get(level, Counter()), gold[level])


def facts(records: Iterable[Record]) -> Facts:
    """What records claim, by level, as comparable tuples. Values of strict records that are no strings count too."""
    found: Facts = {}
    for record in records:
        for level, fact in _facts(record):
            found.setdefault(level, Counter())[fact] += 1
    return found


def _facts(record: Record) -> list[tuple[str, Any]]:
    match record:
        case EntityRecord():
            return [("fact", (record.text, record.type))]
        case RelationRecord():
            return [("fact", (record.head, record.relation, record.tail))]
        case NodeRecord():
            return [("fact", triple) for triple in triples_of(record)]
        case EventRecord():
            arguments = [("argument", (record.type, countable(value), role)) for value, role in record.arguments]
            return [("trigger", (record.type, record.trigger)), *arguments]


def label_and_value(level: str, fact: tuple[Any, ...]) -> tuple[Any, Any]:
    """A fact of `facts` as the label it answers (of an argument: event type and role) and the value under it."""
    match level, fact:
        case "argument", (kind, value, role):
            return (kind, role), value
        case "trigger", (kind, trigger):
            return kind, trigger
        case _, (text, kind):
            return kind, text
    return fact[1], (fact[0], fact[2])


def countable(value: Any) -> Hashable:
    """A stand-in for a JSON value that can be counted: two are equal when the values are. Strings stand for themselves.

    Written without recursion, as answers can be nested deeper than Python calls.
    """
    if not isinstance(value, list | dict):
        return value  # type: ignore[no-any-return]
    tokens: list[Hashable] = []
    waiting: list[Any] = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            tokens.append((len(each),))
            waiting += each
        elif isinstance(each, dict):
            names = sorted(each)
            tokens.append(("{", *names))
            waiting += [each[name] for name in names]
        else:
            tokens.append(each)
    return tuple(tokens)


def gold_facts(task: Task, annotation: Sequence[Mapping[str, Any]]) -> Facts:
    """What an annotation says, by level; values that stand twice under one label count once, as answers give them.

    EEA looks at no trigger: an answer need not name one.
    """
    match task:
        case "NER":
            return {"fact": Counter({(each["entity"], each["entity_type"]): 1 for each in annotation})}
        case "RE" | "SPO" | "KG":
            return {"fact": Counter({(each["head"], each["relation"], each["tail"]): 1 for each in annotation})}
    triggers = Counter((each["event_type"], _stated(each["event_trigger"])) for each in annotation)
    if task == "EET":
        return {"trigger": triggers}
    arguments = Counter(
        fact
        for each in annotation
        for fact in dict.fromkeys((each["event_type"], part["argument"], part["role"]) for part in each["arguments"])
    )
    return {"argument": arguments} if task == "EEA" else {"trigger": triggers, "argument": arguments}


def _stated(trigger: str) -> str:
    """As records have it, which name no trigger by ""."""
    return "" if trigger == ABSENT else trigger
