"""Overlapping spans over one text, cut into pieces that no span begins or ends inside."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sluice_schemas.extraction import Span


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the text, and which of the spans cover it: their positions in the sequence, the longest first."""

    text: str
    start: int
    cover: tuple[int, ...]


def segments(text: str, spans: Sequence[Span]) -> Iterator[Segment]:
    """Cuts `text` at every place where a span starts or ends. Joined, the pieces are the text.

    The spans must end within the text; offsets are code points, which is what a Python string counts.
    """
    starts = sorted(range(len(spans)), key=lambda index: spans[index].start, reverse=True)
    edges = {edge for span in spans for edge in (span.start, span.end)}
    cuts = sorted({0, len(text), *edges})
    active: set[int] = set()
    for start, end in pairwise(cuts):
        active = {index for index in active if spans[index].end > start}
        while starts and spans[starts[-1]].start == start:
            active.add(starts.pop())
        cover = sorted(active, key=lambda index: (spans[index].start - spans[index].end, index))
        yield Segment(text[start:end], start, tuple(cover))
