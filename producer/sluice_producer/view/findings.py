"""What the table and the page both say about a result: its values under one label each, and its counts."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sluice_schemas.extraction import EventMention, Extraction, Mention, Relation, Span, Status
from sluice_schemas.schema import Task

TASK_NAMES: dict[Task, str] = {
    "NER": "Entities",
    "RE": "Relations",
    "SPO": "Typed relations",
    "EE": "Events",
    "EET": "Event triggers",
    "EEA": "Event arguments",
    "KG": "Knowledge graph",
}
STATUSES: tuple[Status, ...] = ("exact", "normalised", "fuzzy", "absent")


@dataclass(frozen=True, slots=True)
class Value:
    """A mention, and the label it is shown under: its type, else the relation, role or event it stands for.

    A `label` of None says that nothing names it, as with the head of a plain relation.
    """

    mention: Mention
    label: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over some results. `statuses` counts values."""

    documents: int
    facts: int
    statuses: Counter[Status]
    problems: int

    @property
    def values(self) -> int:
        return self.statuses.total()

    @property
    def grounded(self) -> int:
        return self.values - self.statuses["absent"]

    @property
    def share(self) -> str:
        """The share of values that stand in the text. Never rounded up to 100 %."""
        if not self.values:
            return "–"
        percent = 100 * self.grounded // self.values
        return f"{percent} %"


def relation_values(relation: Relation) -> tuple[Value, Value]:
    """Head and tail. An untyped tail stands under the relation's name; an untyped head has none of its own."""
    return (
        Value(relation.head, relation.head.type),
        Value(relation.tail, relation.tail.type or relation.type),
    )


def event_values(event: EventMention) -> Iterator[Value]:
    """The trigger under the event's type, then each argument under its role."""
    if event.trigger is not None:
        yield Value(event.trigger, event.type)
    for argument in event.arguments:
        yield Value(argument.value, argument.role)


def values(extraction: Extraction) -> Iterator[Value]:
    """Every value of the result, in its own order: entities, relations, events."""
    for entity in extraction.entities:
        yield Value(entity, entity.type)
    for relation in extraction.relations:
        yield from relation_values(relation)
    for event in extraction.events:
        yield from event_values(event)


def tally(extractions: Iterable[Extraction]) -> Tally:
    """Counts documents, facts (an entity, a relation or an event each), values by status, and problems."""
    documents = facts = problems = 0
    statuses: Counter[Status] = Counter()
    for extraction in extractions:
        documents += 1
        facts += len(extraction.entities) + len(extraction.relations) + len(extraction.events)
        problems += len(extraction.problems)
        statuses.update(value.mention.status for value in values(extraction))
    return Tally(documents, facts, statuses, problems)


def by_task(extractions: Iterable[Extraction]) -> dict[Task, Tally]:
    """A tally for each task that occurs, in the order of `TASK_NAMES`."""
    groups: dict[Task, list[Extraction]] = {task: [] for task in TASK_NAMES}
    for extraction in extractions:
        groups[extraction.task].append(extraction)
    return {task: tally(group) for task, group in groups.items() if group}


def stands_in(text: str | None, mention: Mention) -> Span | None:
    """Where the mention can be marked in `text`: None without a text, without a place, or with one outside the text."""
    if text is None or mention.span is None or mention.span.end > len(text):
        return None
    return mention.span
