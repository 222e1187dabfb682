"""Where a value stands in a text, word for word: what a label without spans is given them by."""

import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterator
from itertools import islice

from sluice_schemas.extraction import Span

MOST = 1000
"""So many places of one value are looked at."""
NEIGHBOURS = 4
"""So many places on either side of another are compared with it: some may lie within it."""


class Places:
    """The places of values in one text. Those at word boundaries come first: "us" is no part of "campus"."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: dict[str, list[Span]] = {}
        self._ordered: dict[str, list[Span]] = {}

    def of(self, value: str) -> list[Span]:
        """All places, the best first. A value in another Unicode normal form than the text is found all the same."""
        if value not in self._found:
            forms = dict.fromkeys((value, *(unicodedata.normalize(form, value) for form in ("NFC", "NFD"))))
            spans = next((found for form in forms if form and (found := [*islice(self._each(form), MOST)])), [])
            self._found[value] = sorted(spans, key=lambda span: (self._cuts_word(span), span.start))
        return self._found[value]

    def free_or_first(self, value: str, taken: Collection[Span | None]) -> Span | None:
        """The best place that is not taken; when all are, the best. None when there is none."""
        places = self.of(value)
        return next((span for span in places if span not in taken), places[0] if places else None)

    def nearest(self, value: str, to: Span | None) -> Span | None:
        """The place nearest to another one and not within it; without another the best."""
        places = self._in_order(value)
        if to is None or not places:
            return self.free_or_first(value, ())
        at = bisect_left(places, to.start, key=lambda span: span.start)
        return min(places[max(0, at - NEIGHBOURS) : at + NEIGHBOURS], key=lambda span: _distance(span, to))

    def pair(self, head: str, tail: str) -> tuple[Span | None, Span | None]:
        """The places of two values that stand nearest to each other."""
        pairs = [(first, self.nearest(tail, first)) for first in self._in_order(head)]
        apart = [(_distance(first, second), first, second) for first, second in pairs if second]
        if not apart:
            return self.free_or_first(head, ()), self.free_or_first(tail, ())
        return min(apart, key=lambda each: each[0])[1:]

    def _in_order(self, value: str) -> list[Span]:
        """The whole words, or else the parts of words, as they follow each other in the text."""
        if value not in self._ordered:
            places = self.of(value)
            whole = [span for span in places if not self._cuts_word(span)]
            self._ordered[value] = sorted(whole or places, key=lambda span: span.start)
        return self._ordered[value]

    def _each(self, form: str) -> Iterator[Span]:
        at = self.text.find(form)
        while at >= 0:
            yield Span(start=at, end=at + len(form))
            at = self.text.find(form, at + len(form))

    def _cuts_word(self, span: Span) -> bool:
        return self._is_inside(span.start) or self._is_inside(span.end)

    def _is_inside(self, at: int) -> bool:
        if not 0 < at < len(self.text):
            return False
        return bool(unicodedata.combining(self.text[at])) or (_joins(self.text[at - 1]) and _joins(self.text[at]))


def _joins(char: str) -> bool:
    """Whether it is of a script that puts spaces between its words; in the others any character may end one."""
    return char.isalnum() and (char < "\u0e00" or "\u1e00" <= char <= "\u1fff" or "\uff10" <= char <= "\uff5a")


def _distance(one: Span, other: Span) -> int:
    """Characters between two places; overlapping ones are as far apart as can be."""
    gap = max(one.start, other.start) - min(one.end, other.end)
    return gap if gap >= 0 else 1 << 40
