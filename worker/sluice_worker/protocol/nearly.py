"""Finds a value that a text holds with a few letters changed, without reading the whole text letter by letter.

Pigeonhole: of k + 1 parts of a value, one stands unchanged in any text that differs in at most k places. The parts are
looked up, and only their surroundings compared, by bit-parallel edit distance (Myers 1999, Hyyrö 2003).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

MIN_RATIO = 0.85
"""Least share of a value that must stand in the text unchanged."""

MIN_LENGTH = 8
"""Shorter values are too easily something else: one letter makes another name."""

MAX_LENGTH = 1_000
"""Longer values are no names but whole paragraphs, and comparing takes the square of the length."""

MAX_EDITS = 24
_MAX_LOOKED_UP = 64
_MAX_COMPARED = 16
_DIGITS = re.compile(r"\d+")

Lookup = Callable[[str], Iterable[int]]
"""The places of a string in the text, in order."""


def near_matches(value: str, text: str, lookup: Lookup) -> Iterator[tuple[int, int]]:
    """Ranges of `text` within (1 - MIN_RATIO) * len(value) edits of `value`, the nearest first, then by place.

    Numbers must be equal: a date with another digit is another date.
    """
    limit = min(int(len(value) * (1 - MIN_RATIO) + 1e-9), MAX_EDITS)
    if not MIN_LENGTH <= len(value) <= MAX_LENGTH or limit < 1:
        return
    found: set[tuple[int, int, int]] = set()
    for guess in _guesses(value, limit, lookup):
        start = max(0, guess - limit)
        match = closest(value, text[start : guess + len(value) + limit])
        if match and match[2] <= limit:
            found.add((match[2], start + match[0], start + match[1]))
    for _, start, end in sorted(found):
        if _DIGITS.findall(text[start:end]) == _DIGITS.findall(value):
            yield start, end


def _guesses(value: str, limit: int, lookup: Lookup) -> list[int]:
    """Where the value may begin: where most of its parts say so, and of those first what its rarest part says."""
    size = len(value) // (limit + 1)
    offsets = [part * size for part in range(limit + 1)]
    hits = [
        [max(0, place - start) for place in islice(lookup(value[start:end]), _MAX_LOOKED_UP)]
        for start, end in zip(offsets, [*offsets[1:], len(value)], strict=True)
    ]
    votes = Counter(guess for places in sorted(hits, key=len) for guess in places)
    return [guess for guess, _ in votes.most_common(_MAX_COMPARED)]


def closest(pattern: str, text: str) -> tuple[int, int, int] | None:
    """The [start, end) of `text` with the least edit distance to `pattern`, and that distance; None if one is empty."""
    if not pattern or not text:
        return None
    end, distance = _best_end(pattern, text)
    # Backwards from the first best end: a match that began further on would have ended sooner.
    length, _ = _best_end(pattern[::-1], text[:end][::-1])
    return (end - length, end, distance) if length else None


def _best_end(pattern: str, text: str) -> tuple[int, int]:
    """Where the best match of `pattern` first ends, and its distance. It may start anywhere."""
    positions: dict[str, int] = {}
    for index, char in enumerate(pattern):
        positions[char] = positions.get(char, 0) | 1 << index
    ones = (1 << len(pattern)) - 1
    last = 1 << (len(pattern) - 1)
    plus, minus, distance = ones, 0, len(pattern)
    best = (0, distance)
    for end, char in enumerate(text, 1):
        equal = positions.get(char, 0)
        diagonal = (((equal & plus) + plus) ^ plus) | equal | minus
        rising = minus | (~(diagonal | plus) & ones)
        falling = plus & diagonal
        distance += bool(rising & last) - bool(falling & last)
        rising = (rising << 1) & ones
        falling = (falling << 1) & ones
        plus = falling | (~(diagonal | rising) & ones)
        minus = rising & diagonal
        if distance < best[1]:
            best = (end, distance)
    return best
