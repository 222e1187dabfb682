"""The pieces of a text in which values stand, for those who will read the result without the document. Pure."""

from bisect import bisect_right
from collections.abc import Iterable

from sluice_schemas.extraction import Passage, Span
from sluice_worker.protocol.cluster import MAX_CLUSTER, joins
from sluice_worker.protocol.sentence import sentence_ends

CELL_CHARS = 300
"""A sentence of more than three cells gives a value the cell it stands in and one on each side: some texts have no full
stop, and whole cells are shared by the values in them."""


def passages(text: str, spans: Iterable[Span]) -> tuple[Passage, ...]:
    """The sentences that hold the spans, in text order, each once; a span over several sentences gets them all."""
    ends = sentence_ends(text)
    starts = [0, *ends[:-1]]
    found: set[tuple[int, int]] = set()
    for span in spans:
        start = starts[bisect_right(starts, span.start) - 1]
        end = ends[bisect_right(starts, span.end - 1) - 1]
        if end - start > 3 * CELL_CHARS:
            start, end = _around(text, span, start, end)
        found.add((start, end))
    return tuple(Passage(start=start, end=end, text=text[start:end]) for start, end in sorted(found))


def _around(text: str, span: Span, start: int, end: int) -> tuple[int, int]:
    first = start + max(0, (span.start - start) // CELL_CHARS - 1) * CELL_CHARS
    last = start + ((span.end - 1 - start) // CELL_CHARS + 2) * CELL_CHARS
    return max(start, _whole(text, first)), min(end, _whole(text, last))


def _whole(text: str, position: int) -> int:
    """The same place, or a little behind it where a cut would break a character."""
    for each in range(position, position + MAX_CLUSTER):
        if not joins(text, each):
            return each
    return position
