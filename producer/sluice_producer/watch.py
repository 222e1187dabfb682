"""Waits for jobs to end without asking the ledger too often."""

import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from sluice_schemas.errors import NotFound
from sluice_schemas.job import Job

T = TypeVar("T")

FIRST_PAUSE_S = 0.01
MOST_PAUSE_S = 1.0
SHARE = 0.1
"""Of the time without news that may pass before the next look; looking itself takes no more than this share either."""


class Watch(Generic[T]):
    """Jobs in flight, each with what its caller wants back at its end, and a weight."""

    def __init__(self, look: Callable[[str], Job]) -> None:
        self._look = look
        self._items: dict[str, list[tuple[T, int]]] = {}
        self._news_at = time.monotonic()
        self._due_at = self._news_at
        self.weight = 0

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def add(self, job_id: str, item: T, *, weight: int = 1) -> None:
        """The same job may be added for several items."""
        if not self._items:
            self._news_at = self._due_at = time.monotonic()
        self._items.setdefault(job_id, []).append((item, weight))
        self.weight += weight

    def ended(self) -> list[tuple[T, Job | NotFound]]:
        """Hands out what has ended, if it is time to look again; else nothing."""
        started = time.monotonic()
        if started < self._due_at:
            return []
        found = [(job_id, seen) for job_id in self._items if (seen := self._glance(job_id)) is not None]
        handed_out = [(item, seen) for job_id, seen in found for item in self._remove(job_id)]
        now = time.monotonic()
        self._news_at = now if found else self._news_at
        idle_s = min(MOST_PAUSE_S, max(FIRST_PAUSE_S, SHARE * (now - self._news_at)))
        self._due_at = now + max(idle_s, (now - started) / SHARE)
        return handed_out

    def wait(self, *, until: float = float("inf")) -> list[tuple[T, Job | NotFound]]:
        """Sleeps until something has ended. Empty when nothing is left, or nothing ended by `until` (monotonic)."""
        while self._items:
            self._due_at = min(self._due_at, until)
            time.sleep(max(0.0, self._due_at - time.monotonic()))
            if found := self.ended():
                return found
            if time.monotonic() >= until:
                break
        return []

    def _glance(self, job_id: str) -> Job | NotFound | None:
        try:
            job = self._look(job_id)
        except NotFound as exc:
            return exc
        return job if job.has_ended else None

    def _remove(self, job_id: str) -> list[T]:
        gone = self._items.pop(job_id)
        self.weight -= sum(weight for _, weight in gone)
        return [item for item, _ in gone]
