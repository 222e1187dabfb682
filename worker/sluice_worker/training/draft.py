"""A document while it is being written: text, and where each mention, relation and event stands in it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice_worker.training.names import Entity, Namer
from sluice_worker.training.phrases import Choice, Phrase, Slot, choose, draw_number, expand_macros, parse, slots_of


@dataclass(frozen=True, slots=True)
class Template:
    """One sentence with slots, the relations it states and the events it tells of, all by slot name."""

    phrase: Phrase
    slots: Mapping[str, str]
    relations: tuple[tuple[str, str, str], ...]
    events: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def read_template(entry: Mapping[str, Any], *, macros: Mapping[str, str]) -> Template:
    """Read `{t: text, r: [[head, name, tail]], e: {type: {role: slot, or list of slots}}}`."""
    phrase = parse(expand_macros(entry["t"], macros))
    events = tuple(
        (name, tuple((role, slot) for role, slots in roles.items() for slot in _as_list(slots)))
        for name, roles in entry.get("e", {}).items()
    )
    relations = tuple((head, name, tail) for head, name, tail in entry.get("r", ()))
    return Template(phrase, slots_of(phrase), relations, events)


def _as_list(slots: str | Sequence[str]) -> Sequence[str]:
    return [slots] if isinstance(slots, str) else slots


@dataclass(frozen=True, slots=True)
class Mention:
    """Where an entity is named, half-open in code points."""

    start: int
    end: int
    entity: Entity


@dataclass(slots=True)
class Draft:
    """Text under construction; annotations point at mentions, and become strings only when the text is final."""

    namer: Namer
    rng: random.Random
    parts: list[str] = field(default_factory=list)
    length: int = 0
    mentions: list[Mention] = field(default_factory=list)
    relations: list[tuple[Mention, str, Mention]] = field(default_factory=list)
    events: list[tuple[tuple[int, int], str, list[tuple[Mention, str]]]] = field(default_factory=list)
    first: dict[int, Mention] = field(default_factory=dict)
    recent: list[Entity] = field(default_factory=list)

    def write(self, text: str) -> None:
        """Add text; no full stop is doubled, and a possessive agrees with what it follows."""
        before = self.parts[-1] if self.parts else ""
        if text.startswith(".") and before.endswith("."):
            text = text[1:]
        elif text.startswith("'s") and before.endswith("s"):
            text = "'" + text[2:]
        self.parts.append(text)
        self.length += len(text)

    def write_sentence(self, template: Template, bound: Mapping[str, Entity]) -> Mapping[str, Entity]:
        """Add a sentence, its mentions and what it states; return the entity of each slot that was written.

        `bound` holds known entities by slot name; all others are drawn as they are needed.
        """
        sentence = _Sentence(self, bound)
        start = len(self.parts)
        sentence.write_phrase(template.phrase)
        self._raise_initial(start)
        named = sentence.named
        for head, name, tail in template.relations:
            if head in named and tail in named:
                self.relations.append((named[head], name, named[tail]))
        for index, (name, roles) in enumerate(template.events):
            if index in sentence.triggers:
                filled = [(named[slot], role) for role, slot in roles if slot in named]
                self.events.append((sentence.triggers[index], name, filled))
        self.recent = [sentence.bound[slot] for slot in named]
        return {slot: sentence.bound[slot] for slot in named}

    def _raise_initial(self, start: int) -> None:
        for index in range(start, len(self.parts)):
            if self.parts[index]:
                initial = self.parts[index][0]
                if len(initial.upper()) == 1:
                    self.parts[index] = initial.upper() + self.parts[index][1:]
                return


class _Sentence:
    """The writing of one sentence: which slot was named where, and where the triggers stand."""

    def __init__(self, draft: Draft, bound: Mapping[str, Entity]) -> None:
        self._draft = draft
        self._rng = draft.rng
        self.bound = dict(bound)
        self._start = draft.length
        self.named: dict[str, Mention] = {}
        self.triggers: dict[int, tuple[int, int]] = {}

    def write_phrase(self, phrase: Phrase) -> None:
        for node in phrase:
            if isinstance(node, str):
                self._draft.write(node)
            elif isinstance(node, Slot):
                self._write_slot(node)
            elif isinstance(node, Choice):
                start = self._draft.length
                self.write_phrase(choose(self._rng, node.options))
                if node.trigger >= 0:
                    self.triggers.setdefault(node.trigger, (start, self._draft.length))
            else:
                self._draft.write(draw_number(node, self._rng))

    def _write_slot(self, slot: Slot) -> None:
        draft = self._draft
        entity = self.bound.get(slot.name)
        if entity is None:
            entity = self.bound[slot.name] = draft.namer.draw(slot.kind, self._rng)
        known = draft.first.get(id(entity))
        if known is not None and not slot.is_named and self._may_stand_for(entity) and self._rng.random() < 0.4:
            draft.write(entity.anaphor)
            self.named[slot.name] = known
            return
        form = entity.forms[0]
        if known is not None and len(entity.forms) > 1 and self._rng.random() < 0.55:
            form = choose(self._rng, entity.forms[1:])
        self._agree_article(form)
        outside, _, form = form.rpartition("^")
        if outside:
            draft.write(outside)
        mention = Mention(draft.length, draft.length + len(form), entity)
        draft.write(form)
        draft.mentions.append(mention)
        draft.first.setdefault(id(entity), mention)
        self.named.setdefault(slot.name, mention)

    def _may_stand_for(self, entity: Entity) -> bool:
        if not entity.anaphor or self._draft.length != self._start:
            return False
        rivals = [other for other in self._draft.recent if other.entity_type == entity.entity_type]
        return len(rivals) == 1 and rivals[0] is entity

    def _agree_article(self, form: str) -> None:
        parts = self._draft.parts
        if (
            parts
            and parts[-1].endswith((" a ", "A "))
            and form[:1] in "aeiouAEIO"
            and not form.startswith(("eu", "Eu"))
        ):
            parts[-1] = parts[-1][:-1] + "n "
            self._draft.length += 1
