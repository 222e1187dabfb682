"""One document of the page: its text with the values marked, and what was found in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sluice_producer.view.findings import TASK_NAMES, Value, event_values, relation_values, stands_in, tally, values
from sluice_producer.view.markup import attributes, depths, place, safe
from sluice_producer.view.segments import Segment, segments
from sluice_schemas.extraction import EventMention, Extraction, Mention, Problem, Relation, Span

FOLDED_OVER = 3_000
"""Characters of a text that is shown whole; a longer one starts folded."""

DEEPEST = 3
"""Levels of nesting that the style sheet draws apart."""

LABEL_SHOWN = 32
"""Characters of a label beside its mark, where it cannot wrap; the legend has it whole."""

Hues = Mapping[str | None, int]
"""The colour of each label of one schema; 0 is the neutral one, for what has no label."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One place in the text under one label; values that say the same share it."""

    span: Span
    value: Value


class Card:
    """Renders one result. `number` makes its ids unique on the page."""

    def __init__(self, extraction: Extraction, *, number: int, hues: Hues) -> None:
        self._extraction = extraction
        self._number = number
        self._hues = hues
        self._marks: list[Mark] = []
        self._ids: dict[tuple[int, int, str | None], str] = {}
        for value in values(extraction):
            self._place(value)

    def html(self) -> str:
        """The whole article."""
        each = self._extraction
        named = attributes(
            id=f"d{self._number}",
            data_task=each.task,
            data_schema=each.schema_ref,
            data_status=" ".join(states(each)),
            aria_labelledby=f"t{self._number}",
        )
        parts = (self._head(), self._legend(), self._text(), self._lost(), self._relations(), self._events())
        return f"<article{named}>\n{''.join(parts)}{self._problems()}{self._all()}</article>\n"

    def _place(self, value: Value) -> None:
        span = stands_in(self._extraction.text, value.mention)
        if span is None:
            return
        key = (span.start, span.end, value.label)
        if key not in self._ids:
            self._ids[key] = str(len(self._marks))
            self._marks.append(Mark(span, value))

    def _id(self, value: Value) -> str | None:
        span = value.mention.span
        return self._ids.get((span.start, span.end, value.label)) if span else None

    def _hue(self, label: str | None) -> str:
        return f"h{self._hues.get(label, 0)}"

    def _head(self) -> str:
        each, counts = self._extraction, tally([self._extraction])
        share = f"{counts.grounded} of {counts.values} in the text" if counts.values else "nothing found"
        bad = " bad" if counts.grounded < counts.values else ""
        told = [each.schema_ref, {"zh": "Chinese", "en": "English"}[each.language], each.model]
        told += [f"adapter {each.adapter}"] if each.adapter else []
        told += [f"{len(each.text):,} characters"] if each.text is not None else []
        meta = "".join(f"<bdi>{safe(part)}</bdi>" for part in told)
        title = f'<h2 id="t{self._number}"><bdi>{safe(each.document_id)}</bdi></h2>'
        return (
            f'<header class="head">{title}<p class="share{bad}">{share}</p>'
            f'<p class="meta"><strong>{TASK_NAMES[each.task]}</strong>{meta}</p></header>\n'
        )

    def _legend(self) -> str:
        members: dict[str | None, list[str]] = {}
        for index, mark in enumerate(self._marks):
            members.setdefault(mark.value.label, []).append(str(index))
        chips = (
            f'<li><button type="button" class="fact chip {self._hue(label)}" aria-pressed="false" '
            f'data-m="{" ".join(ids)}"><bdi>{safe(label or self._unnamed())}</bdi><i>{len(ids)}</i></button></li>'
            for label, ids in members.items()
        )
        return f'<ul class="legend" aria-label="Labels">{"".join(chips)}</ul>\n' if members else ""

    def _unnamed(self) -> str:
        return "subject" if self._extraction.relations else "value"

    def _text(self) -> str:
        text = self._extraction.text
        if text is None:
            return '<p class="gone">The file holds no text for this document; its values are listed below.</p>\n'
        pieces = list(segments(text, [mark.span for mark in self._marks]))
        inside = depths(pieces, len(self._marks))
        long = " long" if len(text) > FOLDED_OVER else ""
        named = attributes(id=f"x{self._number}", class_=f"text{long}", lang=self._extraction.language, dir="auto")
        body = "".join(self._marked(piece, inside) for piece in pieces)
        return f"<div{named}>{body}</div>\n{self._more(len(text)) if long else ''}"

    def _more(self, characters: int) -> str:
        closed = f"Show all {characters:,} characters"
        return (
            f'<button type="button" class="more" hidden aria-expanded="false" aria-controls="x{self._number}" '
            f'data-open="{closed}" data-fold="Show less">{closed}</button>\n'
        )

    def _marked(self, piece: Segment, inside: Sequence[int]) -> str:
        html = safe(piece.text)
        for index in reversed(piece.cover):
            mark = self._marks[index]
            begins, ends = piece.start == mark.span.start, piece.start + len(piece.text) == mark.span.end
            classes = [self._hue(mark.value.label), *(["b"] if begins else []), *(["e"] if ends else [])]
            classes += [f"n{min(inside[index], DEEPEST)}"] if inside[index] else []
            classes += [mark.value.mention.status] if mark.value.mention.status != "exact" else []
            named = attributes(
                class_=" ".join(classes),
                data_m=str(index),
                data_t=_short(mark.value.label) if ends else None,
                title=self._told(mark.value),
            )
            html = f"<mark{named}>{html}</mark>"
        return html

    def _told(self, value: Value) -> str:
        mention = value.mention
        told = [value.label or self._unnamed(), mention.status]
        told += [f"given as {mention.text}"] if mention.status != "exact" else []
        told += [f"confidence {mention.confidence:.0%}"] if mention.confidence is not None else []
        return " · ".join(told)

    def _lost(self) -> str:
        lost = [value for value in values(self._extraction) if self._is_lost(value.mention)]
        items = "".join(f"<li>{self._value(value)}{self._type(value.label)}</li>" for value in dict.fromkeys(lost))
        return f'<section class="lost"><h3>Not found in the text</h3><ul>{items}</ul></section>\n' if items else ""

    def _is_lost(self, mention: Mention) -> bool:
        text = self._extraction.text
        return mention.span is None or (text is not None and stands_in(text, mention) is None)

    def _relations(self) -> str:
        items = [self._relation(each) for each in self._extraction.relations]
        return self._facts("Relations", items, layout=" pairs")

    def _relation(self, relation: Relation) -> str:
        head, tail = relation_values(relation)
        return self._fact(
            (head, tail),
            f'{self._value(head)}{self._type(relation.head.type)} <bdi class="rel">{safe(relation.type)}</bdi> '
            f"{self._value(tail)}{self._type(relation.tail.type)}",
        )

    def _events(self) -> str:
        return self._facts("Events", [self._event(each) for each in self._extraction.events], layout="")

    def _event(self, event: EventMention) -> str:
        trigger = f" {self._value(Value(event.trigger, event.type))}" if event.trigger else " (no trigger named)"
        roles = "".join(
            f"<span><bdi>{safe(each.role)}</bdi></span><span>{self._value(Value(each.value, each.role))}</span>"
            for each in event.arguments
        )
        kind = f'<bdi class="kind {self._hue(event.type)}">{safe(event.type)}</bdi>'
        return self._fact(tuple(event_values(event)), f'{kind}{trigger}<span class="roles">{roles}</span>')

    def _facts(self, title: str, items: Sequence[str], *, layout: str) -> str:
        if not items:
            return ""
        return (
            f'<section><h3>{title}<i>{len(items)}</i></h3><ul class="facts{layout}">{"".join(items)}</ul></section>\n'
        )

    def _fact(self, members: Sequence[Value], html: str) -> str:
        ids = " ".join(dict.fromkeys(found for value in members if (found := self._id(value))))
        return f'<li><button type="button" class="fact" aria-pressed="false" data-m="{ids}">{html}</button></li>'

    def _value(self, value: Value) -> str:
        lost = " absent" if self._is_lost(value.mention) else ""
        hint = attributes(title="Not found in the text" if lost else None)
        return f'<bdi class="value{lost}"{hint}>{safe(value.mention.text)}</bdi>'

    @staticmethod
    def _type(label: str | None) -> str:
        return f' <bdi class="type">{safe(label)}</bdi>' if label else ""

    def _problems(self) -> str:
        items = "".join(_problem(problem) for problem in self._extraction.problems)
        count = len(self._extraction.problems)
        title = "1 problem" if count == 1 else f"{count} problems"
        return f'<section class="faults"><h3>{title}</h3><ul>{items}</ul></section>\n' if count else ""

    def _all(self) -> str:
        rows = "".join(self._row(value) for value in values(self._extraction))
        names = '<th>Value</th><th>Label</th><th class="num">Place</th><th>Status</th><th class="num">Confidence</th>'
        if not rows:
            return ""
        table = f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"
        return f'<details class="all"><summary>All values</summary><div class="scroll">{table}</div></details>\n'

    def _row(self, value: Value) -> str:
        mention = value.mention
        span = place(mention.span) if mention.span else "–"
        sure = f"{mention.confidence:.0%}" if mention.confidence is not None else "–"
        return (
            f"<tr><td><bdi>{safe(mention.text)}</bdi></td><td><bdi>{safe(value.label or self._unnamed())}</bdi></td>"
            f'<td class="num">{span}</td><td>{mention.status}</td><td class="num">{sure}</td></tr>'
        )


def states(extraction: Extraction) -> Iterator[str]:
    """What the page's status filter can find this document by."""
    counts = tally([extraction])
    yield from sorted(status for status, count in counts.statuses.items() if count)
    if counts.values and counts.grounded == counts.values:
        yield "grounded"
    if extraction.problems:
        yield "problems"
    if not counts.facts:
        yield "nothing"


def _short(label: str | None) -> str | None:
    return label if label is None or len(label) <= LABEL_SHOWN else label[: LABEL_SHOWN - 1] + "…"


def _problem(problem: Problem) -> str:
    where = f'<span class="place">{place(problem.chunk)}</span>' if problem.chunk else ""
    raw = problem.raw
    shown = (
        f"<details><summary>The model's answer</summary><pre><code>{safe(raw)}</code></pre></details>" if raw else ""
    )
    return f"<li><b>{problem.kind.replace('_', ' ')}</b>: <bdi>{safe(problem.detail)}</bdi>{where}{shown}</li>"
