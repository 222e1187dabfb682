"""How sure the model was of each value, from the log-probabilities of the tokens that wrote it."""

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

_AHEAD = 65_536
"""So many characters ahead a value is looked for: values that an answer writes otherwise must not cost its square."""

_RESYNC = 16
"""How far ahead the next readable piece is looked for, after pieces that are only a part of a character."""


def confidences(raw: str, tokens: Sequence[tuple[str, float]], values: Sequence[str]) -> list[float | None]:
    """exp(mean log-probability) of the tokens that cover each value, in 0..1; None where it cannot be located.

    `raw` is the completion, `tokens` its (text piece, log-probability) pairs, and `values` stand in the order in
    which the answer names them. A token that covers a value only in part (`["Bob`) counts whole.
    """
    if not values or not tokens:
        return [None] * len(values)
    starts, ends = _aligned(raw, [piece for piece, _ in tokens])
    found: list[float | None] = []
    position = 0
    for value in values:
        span = _located(raw, value, position)
        if span is None:
            found.append(None)
            continue
        position = span[1]
        first, last = bisect_right(ends, span[0]), bisect_left(starts, span[1])
        is_covered = first < last and starts[first] <= span[0] and ends[last - 1] >= span[1]
        logprobs = [logprob for _, logprob in tokens[first:last]]
        found.append(min(1.0, math.exp(sum(logprobs) / len(logprobs))) if is_covered else None)
    return found


def _aligned(raw: str, pieces: Sequence[str]) -> tuple[list[int], list[int]]:
    """Start and end of each piece in `raw`. Unreadable pieces share the gap up to the next readable one."""
    if "\ufffd" not in raw and "".join(pieces) == raw:
        exact = [*accumulate(map(len, pieces))]
        return [0, *exact[:-1]], exact
    starts: list[int] = []
    ends: list[int] = []
    position = gap = 0
    for piece in pieces:
        at = raw.find(piece, position, position + len(piece) + _RESYNC) if piece.strip("\ufffd") else -1
        if at < 0:
            starts.append(position)
            ends.append(position)
            gap += 1
            continue
        ends[len(ends) - gap :] = [at] * gap
        starts.append(at)
        position = at + len(piece)
        ends.append(position)
        gap = 0
    return starts, ends


def _located(raw: str, value: str, position: int) -> tuple[int, int] | None:
    kept, escaped = json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1]
    for written, margin in ((f'"{kept}"', 1), (f'"{escaped}"', 1), (kept, 0), (value, 0)):
        at = raw.find(written, position, position + _AHEAD)
        if value and at >= 0:
            return at + margin, at + len(written) - margin
    return None
