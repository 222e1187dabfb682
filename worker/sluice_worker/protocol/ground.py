"""Where in a text a value stands: [start, end) in code points of the text as given, by characters, never by tokens."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from typing import Literal

from sluice_worker.protocol.nearly import near_matches
from sluice_worker.protocol.normal import Normal, normal
from sluice_worker.protocol.sentence import sentence_ends
from sluice_worker.protocol.word import is_inside_word

Found = Literal["exact", "normalised", "fuzzy"]

MAX_PLACES = 10_000
"""So many places of one value are looked at; a mention further on is placed at one of these."""

_SCANS_BEFORE_INDEX = 128
"""An index of the text pays only after about so many look-ups."""

_FAR = 100
"""How much further off a place counts that overlaps the other, or stands in another sentence. In "New York University,
New York" the second New York is meant beside the university."""


@dataclass(frozen=True, slots=True)
class Place:
    """[start, end) in code points, and how it was found. "exact" says that the text reads just like the value."""

    start: int
    end: int
    status: Found

    def shifted(self, offset: int) -> "Place":
        """The same place in a text of which this one begins at `offset`."""
        return replace(self, start=self.start + offset, end=self.end + offset)


class Grounder:
    """Finds values in one text; build one for each chunk.

    A value is looked for as it stands; then after folding width, case, white space, quotes and dashes; then, if long,
    nearly (see `near_matches`), within one sentence. Places at word boundaries are preferred, so that "us" is found in
    "US" rather than in "campus"; scripts without spaces have a boundary at each character. None means absent.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._places: dict[str, Sequence[Place]] = {}
        self._ordered: dict[str, Sequence[Place]] = {}
        self._pairs: dict[tuple[str, str], tuple[Place | None, Place | None]] = {}
        self._next: dict[tuple[str, str], int] = {}
        self._sentence_ends: list[int] | None = None

    @cached_property
    def _normal(self) -> Normal:
        return normal(self.text)

    @cached_property
    def _lookup(self) -> "_Lookup":
        return _Lookup(self._normal.text)

    def place(self, value: str) -> Place | None:
        """The first and best place."""
        places = self.places(value)
        return places[0] if places else None

    def successive(self, value: str, *, said_as: str = "") -> Place | None:
        """The next place at each call with the same value. Mentions beyond the last place stay on the last place.

        `said_as` tells sequences apart: a value under another type is no further mention, and starts anew.
        """
        places = self.places(value)
        if not places:
            return None
        index = self._next.get((value, said_as), 0)
        self._next[value, said_as] = index + 1
        return places[min(index, len(places) - 1)]

    def nearest(self, value: str, anchor: Place | None) -> Place | None:
        """The place nearest to `anchor`: for an event's arguments. Without an anchor, the first and best."""
        places = self._in_order(value)
        if not places or anchor is None:
            return self.place(value)
        return min(_around(places, anchor), key=lambda place: (self._distance(anchor, place), place.start))

    def nearest_pair(self, head: str, tail: str) -> tuple[Place | None, Place | None]:
        """The places of two values that stand closest together, in one sentence if they do: for a relation."""
        if (head, tail) not in self._pairs:
            self._pairs[head, tail] = self._nearest_pair(head, tail)
        return self._pairs[head, tail]

    def places(self, value: str) -> Sequence[Place]:
        """Every place of a value: exact ones in text order, then normalised ones; or the single nearest one."""
        if value not in self._places:
            self._places[value] = self._find(value)
        return self._places[value]

    def _in_order(self, value: str) -> Sequence[Place]:
        if value not in self._ordered:
            self._ordered[value] = sorted(self.places(value), key=lambda place: place.start)
        return self._ordered[value]

    def _nearest_pair(self, head: str, tail: str) -> tuple[Place | None, Place | None]:
        heads, tails = self._in_order(head), self._in_order(tail)
        if not heads or not tails:
            return self.place(head), self.place(tail)
        pairs = ((first, second) for first in heads for second in _around(tails, first))
        return min(pairs, key=lambda pair: (self._distance(*pair), pair[0].start))

    def _find(self, value: str) -> Sequence[Place]:
        folded = normal(value.strip()).text
        if not folded:
            return ()
        found = [self._judged(span, value) for span in self._spans(folded)]
        if self._normal.has_clusters and not any(place.status == "exact" for place in found):
            found += islice(self._verbatim(value), MAX_PLACES)
        found.sort(key=lambda place: (place.status, place.start))  # "exact" < "normalised"
        return [place for place in found if self._is_word(place)] or found or self._nearly(folded)

    def _spans(self, folded: str) -> Iterator[tuple[int, int]]:
        """Places that do not overlap. A long value in a text that repeats itself stands at nearly every character."""
        find, after = self._lookup.finder(folded), 0
        for _ in range(MAX_PLACES):
            if (start := find(after)) < 0:
                return
            span = self._normal.span(start, start + len(folded))
            after = start + (len(folded) if span else 1)
            if span:
                yield span

    def _judged(self, span: tuple[int, int], value: str) -> Place:
        return Place(*span, "exact" if self.text[span[0] : span[1]] == value else "normalised")

    def _verbatim(self, value: str) -> Iterator[Place]:
        """Places that cut a character in two, such as one person out of a joined family of emoji."""
        start = self.text.find(value)
        while start >= 0:
            yield Place(start, start + len(value), "exact")
            start = self.text.find(value, start + len(value))

    def _nearly(self, folded: str) -> Sequence[Place]:
        for start, end in near_matches(folded, self._normal.text, self._lookup):
            span = self._normal.span(start, end)
            if span and not self._crosses_sentences(*span):
                return (Place(*span, "fuzzy"),)
        return ()

    def _crosses_sentences(self, start: int, end: int) -> bool:
        if self._sentence_ends is None:
            self._sentence_ends = sentence_ends(self.text)
        after = bisect_left(self._sentence_ends, start + 1)
        return self._sentence_ends[after] < end

    def _distance(self, one: Place, other: Place) -> int:
        """Code points between two places, and more for what speaks against their belonging together."""
        first, second = (one, other) if one.start <= other.start else (other, one)
        gap = second.start - first.end
        if gap < 0:
            return _FAR
        return gap + _FAR if self._crosses_sentences(first.start, second.end) else gap

    def _is_word(self, place: Place) -> bool:
        return not (is_inside_word(self.text, place.start) or is_inside_word(self.text, place.end))


class _Lookup:
    """Finds strings in one text: by reading it, and once that was done often by an index of its short substrings."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._scans = 0
        self._index: dict[str, list[int]] | None = None

    def __call__(self, needle: str) -> Iterator[int]:
        """Every place of a string, overlapping ones too, in order."""
        find = self.finder(needle)
        start = find(0)
        while start >= 0:
            yield start
            start = find(start + 1)

    def finder(self, needle: str) -> Callable[[int], int]:
        """Gives the first place of a string at or behind a position, -1 when there is none."""
        self._scans += 1
        if self._index is None and self._scans > _SCANS_BEFORE_INDEX:
            self._index = _indexed(self._text)
        grams = list(_grams(needle)) if self._index is not None else []
        if self._index is None or not grams:
            return partial(self._text.find, needle)
        offset, places = min(((at, self._index.get(gram, [])) for at, gram in grams), key=lambda each: len(each[1]))
        return partial(self._checked, needle, offset, places)

    def _checked(self, needle: str, offset: int, places: Sequence[int], after: int) -> int:
        for index in range(bisect_left(places, after + offset), len(places)):
            if self._text.startswith(needle, places[index] - offset):
                return places[index] - offset
        return -1


def _indexed(text: str) -> dict[str, list[int]]:
    index: dict[str, list[int]] = defaultdict(list)
    for at, char in enumerate(text):
        index[text[at : at + 3] if char < "\x80" else text[at : at + 2]].append(at)
    return dict(index)


def _grams(needle: str) -> Iterator[tuple[int, str]]:
    """What the index may hold of a string: three characters from an ASCII one on, two from any other."""
    for at, char in enumerate(needle):
        size = 3 if char < "\x80" else 2
        if at + size <= len(needle):
            yield at, needle[at : at + size]


def _around(places: Sequence[Place], anchor: Place) -> Sequence[Place]:
    """The places that can be nearest to `anchor`, of places in order that do not overlap each other."""
    after = bisect_left(places, anchor.start, key=lambda place: place.start)
    return places[max(0, after - 2) : after + 3]
