"""Cuts a long text into chunks that fit a token budget, on sentence ends, with true offsets and nothing left out."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sluice_schemas.errors import BadInput
from sluice_worker.protocol.cluster import MAX_CLUSTER, end_of, joins
from sluice_worker.protocol.sentence import sentence_ends

Measure = Callable[[str], int]
"""How many tokens a text takes in the prompt."""

_CLAUSE = re.compile(r"[，,、；;：:）)」』”]+\s*|\s[-–—]+\s+|——+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """The code points [start, end) of a text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, or a part of one that is too long."""

    start: int
    end: int
    tokens: int


def chunk(text: str, *, measure: Measure, max_tokens: int, overlap_tokens: int = 0) -> list[Chunk]:
    """Chunks of whole sentences, each of at most `max_tokens` by `measure`, in text order; together they cover `text`.

    A chunk begins with the last sentences of the one before, up to `overlap_tokens`, where they fit. A sentence over
    the limit is cut behind clause punctuation, else behind white space, else between characters.
    `measure` sees O(len(text)) characters in all. Raises `BadInput` when the limits cannot hold.
    """
    if max_tokens < 1 or not 0 <= overlap_tokens <= max_tokens // 2:
        raise BadInput(
            f"Chunks of {max_tokens} tokens with an overlap of {overlap_tokens} cannot be made; "
            "allow at least one token, and an overlap of at most half a chunk."
        )
    if not text or measure(text) <= max_tokens:
        return [Chunk(0, len(text), text)] if text else []
    pieces = list(_pieces(text, measure, max_tokens))
    chunks: list[Chunk] = []
    first = previous = 0
    while first < len(pieces):
        begin = _overlap(pieces, first, previous, max_tokens=max_tokens, overlap_tokens=overlap_tokens)
        begin, end = _fitting(text, pieces, begin, first, measure, max_tokens)
        start, stop = pieces[begin].start, pieces[end - 1].end
        chunks.append(Chunk(start, stop, text[start:stop]))
        previous, first = begin + 1, end
    return chunks


def _overlap(pieces: Sequence[_Piece], first: int, floor: int, *, max_tokens: int, overlap_tokens: int) -> int:
    """The piece to begin with so that pieces before `first` repeat: they and `first` must fit in one chunk."""
    budget = min(overlap_tokens, max_tokens - pieces[first].tokens)
    while first > floor and pieces[first - 1].tokens <= budget:
        first -= 1
        budget -= pieces[first].tokens
    return first


def _fitting(
    text: str, pieces: Sequence[_Piece], begin: int, first: int, measure: Measure, max_tokens: int
) -> tuple[int, int]:
    """The range of pieces to take. Their sum is an estimate: tokens may split otherwise across a sentence end."""
    end, tokens = begin, 0
    while end < len(pieces) and (end <= first or tokens + pieces[end].tokens <= max_tokens):
        tokens += pieces[end].tokens
        end += 1
    while end - begin > 1 and measure(text[pieces[begin].start : pieces[end - 1].end]) > max_tokens:
        # By a share, not one by one, so that measuring stays linear.
        end, begin = (first + max(1, (end - first) * 3 // 4), begin) if end - first > 1 else (end, first)
    return begin, end


def _pieces(text: str, measure: Measure, max_tokens: int) -> Iterator[_Piece]:
    start = 0
    for end in sentence_ends(text):
        tokens = measure(text[start:end])
        if tokens <= max_tokens:
            yield _Piece(start, end, tokens)
        else:
            yield from _broken(text, start, end, measure, max_tokens, max(1, (end - start) * max_tokens // tokens))
        start = end


def _broken(text: str, start: int, end: int, measure: Measure, max_tokens: int, width: int) -> Iterator[_Piece]:
    """Pieces of one sentence; `width` is the guess, kept up to date, of how many code points fill a piece."""
    while start < end:
        stop = _cut(text, start, min(start + width, end))
        tokens = measure(text[start:stop])
        while tokens > max_tokens:
            shorter = _cut(text, start, start + max(1, (stop - start) * 3 // 4))
            if shorter >= stop:
                raise BadInput(
                    f"The character at {start} takes {tokens} tokens, a chunk may have {max_tokens}. "
                    "Allow more tokens a chunk or a longer context."
                )
            stop, tokens = shorter, measure(text[start:shorter])
        yield _Piece(start, stop, tokens)
        width = min(2 * width, max(1, (stop - start) * max_tokens // max(1, tokens)))
        start = stop


def _cut(text: str, start: int, limit: int) -> int:
    """The best place in the second half of [start, limit] to cut, behind at least one cluster."""
    if limit < len(text):
        for pattern in (_CLAUSE, _SPACE):
            places = [match.end() for match in pattern.finditer(text, start + (limit - start) // 2, limit)]
            if places and places[-1] > start and not joins(text, places[-1]):
                return places[-1]
    for cut in range(limit, max(start, limit - MAX_CLUSTER), -1):
        if not joins(text, cut):
            return cut
    return end_of(text, start) if limit - start < MAX_CLUSTER else limit
