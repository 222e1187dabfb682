"""Which labels one document is asked for, and in how many questions (OneKE's protocol, sections 6 and 7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice_schemas.schema import Task, Type
from sluice_worker.conversion.annotated import Annotated, Facts
from sluice_worker.conversion.behaviour import Behaviour, triggers_of
from sluice_worker.conversion.grouping import grouped, type_in
from sluice_worker.conversion.item import Form, Item
from sluice_worker.conversion.labels import named, parts_of, with_parts
from sluice_worker.conversion.negatives import Choose, Draws
from sluice_worker.protocol.answer import answer
from sluice_worker.protocol.split import split

Chunk = Sequence[Item]


@dataclass(frozen=True, slots=True)
class Answered:
    """One training question: what is asked, and by key what is there; keys that are left out found nothing."""

    items: Chunk
    found: Mapping[str, Any]


class Training:
    """Asks for a document's own labels and for some that it lacks, and knows the answers."""

    def __init__(
        self, types: Sequence[Type], *, form: Form, draws: Draws, choose: Choose, behaviour: Behaviour, k: int
    ) -> None:
        self._task, self._form, self._draws, self._choose = form.task, form, draws, choose
        self._behaviour, self._k = behaviour, -1 if form.is_object else k
        self._types = {each.label: each for each in types}
        self._items = {label: form.item(each) for label, each in self._types.items()}

    def ask(self, document: Annotated) -> list[Answered]:
        """The questions in order; none for a document that has nothing to ask."""
        facts = document.facts or []
        if self._task == "EEA" and not facts:
            return []
        groups = self._behaviour.groups(self._task, facts, self._types)
        items = [self._item(label, groups.get(label, []), document.text) for label in self._choose(groups)]
        return [Answered(chunk, self._found(chunk, groups, document.text)) for chunk in self._chunks(items)]

    def _chunks(self, items: Sequence[Item]) -> list[Chunk]:
        return self._behaviour.chunks(self._task, items, self._k, self._draws.share)

    def _item(self, label: str, facts: Facts, text: str) -> Item:
        if self._task in ("EE", "EEA", "KG"):
            return self._item_with_parts(label, facts, text)
        known = self._items.get(label)
        if known and not (self._task == "SPO" and facts and _is_cut_otherwise(known, facts)):
            return known
        return self._form.item(type_in(self._task, label, facts) if facts else named(self._task, label))

    def _item_with_parts(self, label: str, facts: Facts, text: str) -> Item:
        each = self._types.get(label) or named(self._task, label)
        own = parts_of(self._task, each)
        asked = self._behaviour.parts(self._task, self._draws, own, _annotated(self._task, facts))
        asked = self._draws.shuffled(asked)
        if self._task == "EEA":
            triggers = self._behaviour.triggers(self._draws, triggers_of(facts, text), len(asked))
            return self._form.item(with_parts("EEA", each, asked), triggers)
        if label in self._items and tuple(asked) == own:
            return self._items[label]
        return self._form.item(with_parts(self._task, each, asked))

    def _found(self, chunk: Chunk, groups: Mapping[str, Facts], text: str) -> dict[str, Any]:
        present = [item for item in chunk if item.label in groups]
        if not present:
            return {}
        facts = [fact for item in present for fact in groups[item.label]]
        return answer(self._task, [item.value for item in present], facts, text)


class Testing:
    """Asks for every label of the schema in its order; EEA for the event types that are annotated, where they are."""

    def __init__(self, types: Sequence[Type], *, form: Form, behaviour: Behaviour, k: int) -> None:
        self._task, self._form, self._behaviour = form.task, form, behaviour
        self._k = -1 if form.is_object else k
        self._types = {each.label: each for each in types}
        self._chunks: list[Chunk] = split([form.item(each) for each in types], self._k)

    def ask(self, document: Annotated) -> list[Chunk]:
        """The questions in order; none for EEA where the annotation holds no event."""
        if self._task != "EEA" or document.facts is None:
            return self._chunks
        groups = grouped("EEA", document.facts, self._types)
        items = [self._event(name, events, document.text) for name, events in groups.items()]
        return split(items, self._k) if items else []

    def _event(self, name: str, events: Facts, text: str) -> Item:
        each = self._types.get(name) or named("EEA", name)
        return self._form.item(each, self._behaviour.test_triggers(events, text))


def _is_cut_otherwise(item: Item, facts: Facts) -> bool:
    """Names with underscores: one label may mean two typed triples; what is annotated is meant."""
    return (item.key, item.value["subject_type"]) != (facts[0]["relation"], facts[0]["head_type"])


def _annotated(task: Task, facts: Facts) -> list[str]:
    if task == "KG":
        return [*dict.fromkeys(fact["relation"] for fact in facts)]
    return [*dict.fromkeys(argument["role"] for event in facts for argument in event["arguments"])]
