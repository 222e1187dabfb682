"""Rounds in which everything that is compared runs once, in turn: a slow minute of the machine falls on all of it."""

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from bench.throughput import Pass

from sluice_worker.engine.request import Completion, Engine, Request

Documents = Sequence[Sequence[Request]]
Turn = Callable[[int], Pass]
"""One entrant's turn in the round of that number; round 0 warms it up."""


@dataclass(frozen=True, slots=True)
class Flight(Pass):
    """A pass through an engine, with the prompt tokens that came from its cache."""

    cached_tokens: int = 0

    @property
    def hit_rate(self) -> float:
        return self.cached_tokens / self.prompt_tokens


def fly(engine: Engine, documents: Documents, *, most: int | None = None) -> Flight:
    """Hands an engine the documents one after the other, at most `most` of them at once; None is all.

    An idle engine starts on the first of them, as it does in service. Raises what a request failed with.
    """
    room = threading.Semaphore(most or len(documents))
    futures: list[Future[Completion]] = []
    started = time.perf_counter()
    for requests in documents:
        room.acquire()
        futures += _submitted(engine, requests, room)
    answers = [future.result() for future in futures]
    return Flight(
        documents=len(documents),
        requests=len(answers),
        prompt_tokens=sum(each.prompt_tokens for each in answers),
        completion_tokens=sum(each.completion_tokens for each in answers),
        seconds=time.perf_counter() - started,
        cached_tokens=sum(each.cached_tokens for each in answers),
    )


def race(entrants: Mapping[str, Turn], *, rounds: int) -> dict[str, list[Pass]]:
    """What each did in each round, after a round 0 that does not count."""
    for turn in entrants.values():
        turn(0)
    passes: dict[str, list[Pass]] = {name: [] for name in entrants}
    for number in range(1, rounds + 1):
        for name, turn in entrants.items():
            passes[name].append(turn(number))
    return passes


def rate(passes: Sequence[Pass]) -> float:
    """Documents/s: the median."""
    return statistics.median(each.documents_per_s for each in passes)


def ratio(ours: Sequence[Pass], theirs: Sequence[Pass]) -> float:
    """The median of the rounds' ratios of documents/s. For passes over the same documents."""
    return statistics.median(a.documents_per_s / b.documents_per_s for a, b in zip(ours, theirs, strict=True))


def _submitted(engine: Engine, requests: Sequence[Request], room: threading.Semaphore) -> list[Future[Completion]]:
    futures = engine.submit_all(requests)
    ended = itertools.count(1)

    def leave(_: Future[Completion]) -> None:
        if next(ended) == len(futures):
            room.release()

    for future in futures:
        future.add_done_callback(leave)
    return futures
