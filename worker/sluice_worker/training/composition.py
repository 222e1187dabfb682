"""Puts sentences together into coherent documents, and discards those whose annotation would be ambiguous."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sluice_worker.training.draft import Draft, Template
from sluice_worker.training.names import Entity, Namer
from sluice_worker.training.phrases import choose

_FILLER_SHARE = 0.2
_DIGEST_SHARE = 0.2
_FULL_WIDTH = {ord("0") + digit: ord("０") + digit for digit in range(10)} | {ord("("): "（", ord(")"): "）"}


class Composer:
    """Draws whole documents of one language; pure but for the random generator it is given."""

    def __init__(
        self,
        namer: Namer,
        *,
        templates: Sequence[Template],
        fillers: Sequence[Template],
        frames: Sequence[Mapping[str, Any]],
        openings: Sequence[Template],
        subjects: frozenset[str],
    ) -> None:
        self._namer = namer
        self._templates = templates
        self._fillers = fillers
        self._frames = frames
        self._openings = openings
        self._subjects = subjects
        kinds = {kind for template in templates for kind in template.slots.values()}
        self._accepted = {kind: namer.kinds_under(kind) for kind in sorted(kinds)}
        self._followers = self._index_followers()

    def compose(self, rng: random.Random) -> dict[str, Any] | None:
        """Write one document; None where two readings of its annotation are possible, and another must be drawn."""
        draft = Draft(self._namer, rng)
        frame = choose(rng, self._frames)
        if frame.get("opens"):
            draft.write_sentence(choose(rng, self._openings), {})
        self._write_body(draft, frame, rng)
        text = _restyle("".join(draft.parts).rstrip(), rng)
        if not _is_unambiguous(text, draft):
            return None
        return _annotate(text, draft)

    def _write_body(self, draft: Draft, frame: Mapping[str, Any], rng: random.Random) -> None:
        sentences = choose(rng, frame.get("sentences", (1, 1, 2, 2, 3, 3, 4, 5)))
        is_digest = rng.random() < _DIGEST_SHARE
        protagonists: list[Entity] = []
        stated: set[tuple[int, str]] = set()
        used: set[int] = set()
        for index in range(sentences):
            draft.write(frame.get("bullet", "") if index == 0 else frame["join"] + frame.get("bullet", ""))
            if rng.random() < _FILLER_SHARE:
                draft.write_sentence(choose(rng, self._fillers), {})
                continue
            template, known = self._next_sentence(protagonists, stated, used, rng)
            bound = draft.write_sentence(template, known)
            used.add(id(template))
            stated.update((id(bound[head]), name) for head, name, _ in template.relations if head in bound)
            if not is_digest:
                protagonists += [entity for entity in bound.values() if entity not in protagonists]

    def _next_sentence(
        self, protagonists: list[Entity], stated: set[tuple[int, str]], used: set[int], rng: random.Random
    ) -> tuple[Template, dict[str, Entity]]:
        leads = [entity for entity in protagonists[:4] if entity.kind in self._followers]
        for _ in range(4 if leads else 0):
            lead = choose(rng, leads)
            template, slot = choose(rng, self._followers[lead.kind])
            if id(template) in used or any(
                (id(lead), name) in stated for head, name, _ in template.relations if head == slot
            ):
                continue
            return template, {slot: lead}
        return choose(rng, self._templates), {}

    def _index_followers(self) -> dict[str, list[tuple[Template, str]]]:
        followers: dict[str, list[tuple[Template, str]]] = {}
        for template in self._templates:
            heads = {head for head, _, _ in template.relations} | {
                slot for _, roles in template.events for _, slot in roles[:2]
            }
            for name, kind in template.slots.items():
                if name not in heads:
                    continue
                for accepted in sorted(self._accepted[kind]):
                    if accepted in self._subjects:
                        followers.setdefault(accepted, []).append((template, name))
        return followers


def _restyle(text: str, rng: random.Random) -> str:
    """Sometimes change the typography, character for character, so that offsets hold."""
    draw = rng.random()
    if draw < 0.02:
        restyled = text.upper()
    elif draw < 0.035:
        restyled = text.lower()
    elif draw < 0.055:
        restyled = text.translate(_FULL_WIDTH)
    elif draw < 0.075:
        restyled = text.replace("'", "’")
    elif draw < 0.085:
        restyled = text.replace(" ", "\u00a0")
    else:
        return text
    return restyled if len(restyled) == len(text) else text


def _is_unambiguous(text: str, draft: Draft) -> bool:
    """Whether every place where an entity's name stands is a mention, and no name means two things."""
    meaning: dict[str, Entity] = {}
    covered = bytearray(len(text))
    for mention in draft.mentions:
        covered[mention.start : mention.end] = b"\x01" * (mention.end - mention.start)
        if not mention.entity.entity_type:
            continue
        other = meaning.setdefault(text[mention.start : mention.end], mention.entity)
        if other is not mention.entity and (
            other.entity_type != mention.entity.entity_type or len(other.forms) > 1 or len(mention.entity.forms) > 1
        ):
            return False
    return all(_is_covered(text, name, covered) for name in meaning)


def _is_covered(text: str, name: str, covered: bytearray) -> bool:
    at = text.find(name)
    while at >= 0:
        end = at + len(name)
        is_word = not name.isascii() or not (
            (at and text[at - 1].isalnum()) or (end < len(text) and text[end].isalnum())
        )
        if is_word and not covered[at]:
            return False
        at = text.find(name, end)
    return True


def _annotate(text: str, draft: Draft) -> dict[str, Any]:
    def value(mention: Any) -> str:
        return text[mention.start : mention.end]

    entities = [
        {
            "entity": value(mention),
            "entity_type": mention.entity.entity_type,
            "start": mention.start,
            "end": mention.end,
        }
        for mention in draft.mentions
        if mention.entity.entity_type
    ]
    relations = [
        {
            "head": value(head),
            "head_type": head.entity.entity_type,
            "relation": name,
            "tail": value(tail),
            "tail_type": tail.entity.entity_type,
        }
        for head, name, tail in draft.relations
    ]
    events = [
        {
            "event_trigger": text[start:end],
            "event_type": name,
            "arguments": [{"argument": value(mention), "role": role} for mention, role in roles],
        }
        for (start, end), name, roles in draft.events
    ]
    return {"text": text, "entity": entities, "relation": relations, "event": events}
