"""Which sequences a tuning sees, step by step: decided before it starts, by the seed alone."""

import itertools
import random
from collections.abc import Iterator, Sequence

POOL_STEPS = 16
"""Sequences for so many steps are drawn, sorted by length and cut into steps at a time."""


def order(lengths: Sequence[int], *, steps: int, batch: int, device_batch: int, seed: int) -> list[list[int]]:
    """Indices of the sequences of each pass, in turn; `batch / device_batch` passes make a step.

    A step's sequences are of like length, so that little of a pass is padding, and steps come in random order. Every
    sequence is seen once before any is seen twice. How many processes share the passes of a step changes nothing.
    """
    draw = random.Random(seed)
    drawn = _endless(len(lengths), draw)
    passes: list[list[int]] = []
    for begin in range(0, steps, POOL_STEPS):
        count = min(POOL_STEPS, steps - begin)
        pool = sorted(itertools.islice(drawn, count * batch), key=lengths.__getitem__)
        cut = [pool[i : i + batch] for i in range(0, len(pool), batch)]
        draw.shuffle(cut)
        passes += (step[i : i + device_batch] for step in cut for i in range(0, batch, device_batch))
    return passes


def by_length(lengths: Sequence[int], *, device_batch: int) -> list[list[int]]:
    """Passes that show each sequence once, for a look at dev records."""
    ordered = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [ordered[i : i + device_batch] for i in range(0, len(ordered), device_batch)]


def _endless(count: int, draw: random.Random) -> Iterator[int]:
    while True:
        yield from draw.sample(range(count), count)
