"""Label Studio's annotations as facts.

Its offsets count code points; releases before 2022 counted UTF-16 units, and what they give is known by its words.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Argument, EventMention, Mention, Relation, Span
from sluice_schemas.labels import utf16
from sluice_schemas.labels.labelstudio import NO_TRIGGER, VALUE
from sluice_schemas.labels.oneke import FIELD, Facts
from sluice_schemas.schema import ExtractionSchema


def facts_of(result: Any, text: str, schema: ExtractionSchema) -> Facts:
    """The facts of an annotation's `result`. Raises `BadInput`, which names regions by their ids."""
    if not isinstance(result, list) or not all(isinstance(item, dict) for item in result):
        raise BadInput("The annotation has no result, a list of regions and relations.")
    return _Reading(result, text).facts(schema)


@dataclass(frozen=True, slots=True)
class _Region:
    """A part of the text as an annotation marks it."""

    span: Span
    text: str
    names: tuple[str, ...]
    has_trigger: bool

    def mention(self, name: str | None = None) -> Mention:
        return Mention(text=self.text, type=None if name == VALUE else name, span=self.span, status="exact")

    @property
    def value(self) -> Mention:
        return self.mention(self.names[0])


class _Reading:
    """Goes through an annotation's result. What it says twice counts once: people click twice."""

    def __init__(self, result: Sequence[Mapping[str, Any]], text: str) -> None:
        self._regions = {str(item.get("id")): _region(item, text) for item in result if item.get("type") == "labels"}
        self._relations = [*dict.fromkeys(each for item in result for each in self._ends(item))]

    def facts(self, schema: ExtractionSchema) -> Facts:
        match FIELD[schema.task], schema.task:
            case "entity", _:
                return {"entities": self._named()}
            case "relation", task:
                relations = [
                    Relation(type=name, head=head.value, tail=tail.value) for head, tail, name in self._pairs()
                ]
                # A region with an entity's type is an entity of the graph, with attributes or without.
                return {"relations": relations, "entities": self._named() if task == "KG" else []}
        types = {each.name for each in schema.types}
        return {"events": [*dict.fromkeys(self._events(types))]}

    def _named(self) -> list[Mention]:
        named = (each.mention(name) for each in self._regions.values() for name in each.names if name != VALUE)
        return [*dict.fromkeys(named)]

    def _pairs(self) -> Iterator[tuple[_Region, _Region, str]]:
        return ((self._regions[start], self._regions[end], name) for start, end, name in self._relations)

    def _events(self, types: Collection[str]) -> Iterator[EventMention]:
        for region_id, region in self._regions.items():
            for name in region.names:
                if name in types:
                    trigger = region.mention().model_copy(update={"type": None}) if region.has_trigger else None
                    yield EventMention(type=name, trigger=trigger, arguments=tuple(self._arguments(region_id)))

    def _arguments(self, region_id: str) -> Iterator[Argument]:
        for start, end, role in self._relations:
            if start == region_id:
                yield Argument(role=role, value=self._regions[end].mention())

    def _ends(self, item: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        if item.get("type") != "relation":
            return
        start, end = str(item.get("from_id")), str(item.get("to_id"))
        for each in (start, end):
            if each not in self._regions:
                raise BadInput(f"A relation names the region {each[:40]!r}, which the annotation does not have.")
        names = _names(item.get("labels"))
        if not names:
            raise BadInput(f"The relation from region {start[:40]!r} to {end[:40]!r} has no label; give it one.")
        direction = item.get("direction", "right")
        for name in names:
            if direction != "left":
                yield start, end, name
            if direction != "right":
                yield end, start, name


def _region(item: Mapping[str, Any], text: str) -> _Region:
    value, region_id = item.get("value"), str(item.get("id"))[:40]
    start, end = (value.get(name) if isinstance(value, dict) else None for name in ("start", "end"))
    # Not True, which is an int as well.
    if not isinstance(value, dict) or type(start) is not int or type(end) is not int or not 0 <= start < end:
        raise BadInput(f"Region {region_id!r} is no part of a text: it needs start and end.")
    names = _names(value.get("labels"))
    if not names:
        raise BadInput(f"Region {region_id!r} [{start}, {end}) has no label; give it one.")
    # No count gives a text more units than two a character.
    span = _placed(Span(start=start, end=end), value.get("text"), text) if end <= 2 * len(text) else None
    if span is None:
        raise BadInput(
            f"Region {region_id!r} [{start}, {end}): other words stand there in the text of its task, which has "
            f"{len(text)} characters. Was the text changed, or shown with its spaces trimmed?"
        )
    notes = item.get("meta")
    notes = notes.get("text") if isinstance(notes, dict) else None
    return _Region(span, text[span.start : span.end], names, has_trigger=notes not in (NO_TRIGGER, [NO_TRIGGER]))


def _placed(span: Span, words: Any, text: str) -> Span | None:
    """The region in code points; None when the words that it was made with stand elsewhere."""
    if not isinstance(words, str):
        return span if span.end <= len(text) else None
    for each in (span, utf16.from_units(text, span)):
        if each and each.end <= len(text) and _shown(text[each.start : each.end]) == _shown(words):
            return each
    return None


def _shown(words: str) -> str:
    # The editor writes line breaks into a region's words as a backslash and an n.
    return words.replace("\r", "\\n").replace("\n", "\\n")


def _names(labels: Any) -> tuple[str, ...]:
    is_list = isinstance(labels, list) and all(isinstance(each, str) for each in labels)
    return tuple(dict.fromkeys(labels)) if is_list else ()
