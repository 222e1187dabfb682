"""How sure a score is, given the documents it was measured on: bootstrap over documents."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice_worker.evaluation.counting import Row

RESAMPLES = 2_000
SEED = 42
PERCENT = 95
"""How many of the resamples an interval holds (percentile method: Efron and Tibshirani 1993, chapter 13)."""

_BATCH = 100

Interval = tuple[float, float]
"""The ends of a 95 % interval, in percent."""


@dataclass(frozen=True, slots=True)
class Intervals:
    precision: Interval
    recall: Interval
    f1: Interval


@dataclass(frozen=True, slots=True)
class Difference:
    """F1 of this file and of the other over the same documents, in percent, and `gain` = there minus here.

    `better_share` and `equal_share` are the shares of the resamples in which the other file is better, and in which
    both score the same. `interval` is None for fewer than two documents.
    """

    here: float
    there: float
    gain: float
    interval: Interval | None
    better_share: float
    equal_share: float


def intervals(rows: Sequence[Row]) -> Intervals | None:
    """Intervals of the sums over documents; None for fewer than two, which say nothing about spread."""
    if len(rows) < 2:
        return None
    sums = _resampled(rows)
    correct, predicted, gold = sums.T
    return Intervals(
        _interval(_share(correct, predicted)),
        _interval(_share(correct, gold)),
        _interval(_share(2 * correct, predicted + gold)),
    )


def difference(rows: Sequence[Row], others: Sequence[Row]) -> Difference:
    """Paired bootstrap: every resample holds the same documents of both files (Efron and Tibshirani 1993; Koehn 2004).

    `rows` and `others` are the same documents in the same order.
    """
    paired = [(*row, *other) for row, other in zip(rows, others, strict=True)]
    if not paired:
        return Difference(0.0, 0.0, 0.0, None, 0.0, 0.0)
    here, there = (float(each[0]) for each in _f1s(np.array(paired).sum(axis=0, keepdims=True)))
    resampled, others_resampled = _f1s(_resampled(paired))
    gains = others_resampled - resampled
    return Difference(
        here=round(here, 2),
        there=round(there, 2),
        gain=round(there - here, 2),
        interval=_interval(gains) if len(paired) > 1 else None,
        better_share=float((gains > 0).mean()),
        equal_share=float((gains == 0).mean()),
    )


def _resampled(rows: Sequence[tuple[int, ...]]) -> NDArray[np.int64]:
    """Column sums of `RESAMPLES` draws of len(rows) rows with replacement: an array [RESAMPLES, columns].

    Documents with equal rows are drawn as one kind: the multinomial of the kinds is the same draw, and much faster.
    """
    kinds = Counter(rows)
    table = np.array(list(kinds), dtype=np.int64)
    shares = np.array(list(kinds.values())) / len(rows)
    draws = np.random.default_rng(SEED)
    batches: Iterator[NDArray[np.int64]] = (
        draws.multinomial(len(rows), shares, size=_BATCH) @ table for _ in range(RESAMPLES // _BATCH)
    )
    return np.concatenate(list(batches))


def _f1s(sums: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    correct, predicted, gold, other_correct, other_predicted, other_gold = sums.T
    return _share(2 * correct, predicted + gold), _share(2 * other_correct, other_predicted + other_gold)


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(100 * part / np.maximum(whole, 1), dtype=np.float64)


def _interval(values: NDArray[np.float64]) -> Interval:
    tail = (100 - PERCENT) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return round(float(low), 2), round(float(high), 2)
