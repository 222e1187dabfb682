"""Entities of a flat schema never overlap: the surest of those that do is kept, as GLiNER's `flat_ner` does."""

from bisect import bisect_left, insort
from collections.abc import Sequence

from sluice_schemas.extraction import Mention


def flat(mentions: Sequence[Mention]) -> tuple[list[Mention], list[Mention]]:
    """What is kept and what is left out, both in the order given.

    Mentions are taken by confidence; of equal ones the longer, then the first. One without a place overlaps nothing.
    """
    taken: list[tuple[int, int]] = []
    is_kept = [False] * len(mentions)
    for index in sorted(range(len(mentions)), key=lambda each: _rank(mentions[each])):
        span = mentions[index].span
        is_kept[index] = span is None or _is_free(taken, span.start, span.end)
        if span and is_kept[index]:
            insort(taken, (span.start, span.end))
    pairs = [*zip(mentions, is_kept, strict=True)]
    return [each for each, kept in pairs if kept], [each for each, kept in pairs if not kept]


def _rank(mention: Mention) -> tuple[float, int]:
    length = mention.span.end - mention.span.start if mention.span else 0
    return (-(mention.confidence or 0.0), -length)


def _is_free(taken: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether [start, end) meets none of the disjoint ranges in `taken`, which are in order."""
    after = bisect_left(taken, (start, start))
    return (after == len(taken) or taken[after][0] >= end) and (after == 0 or taken[after - 1][1] <= start)
