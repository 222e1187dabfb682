"""Whether this process still does what it is there for: hears its doorbells, and gets answers from its engine.

A worker that runs and hears nothing is worse than a dead one: nobody restarts it (celery #8030, #9191, #10302).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from redis import Redis
from redis.exceptions import RedisError

from sluice_schemas.errors import Unavailable
from sluice_schemas.queues import CANARY_TASK, Doorbell, Group, canary_queue, prefix_of
from sluice_worker.engine.attended import AttendedEngine

log = structlog.get_logger()

CANARY_EVERY_S = 10.0
LEFT_BEHIND_S = 3600
"""A killed worker's canaries nobody hears: they go by themselves."""
CHECK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker with a free thread may hear nothing, and its engine may answer nothing."""

    deaf_s: float
    stuck_s: float


class Pulse:
    """Rings a canary on a queue that only this process hears, and listens for it.

    `on_deaf` is called once when none was heard for `deaf_s` though a thread was free all that time; a canary behind
    documents proves nothing. An engine that answers nothing for `stuck_s` is given up. `sign_file`, if there is one,
    is touched whenever a canary was heard: its age tells a supervisor how the process is.
    """

    def __init__(
        self,
        doorbell: Doorbell,
        redis: Redis,
        *,
        name: str,
        group: Group = "extract",
        threads: int,
        patience: Patience,
        on_deaf: Callable[[], None],
        engine: AttendedEngine | None = None,
    ) -> None:
        self.queue = canary_queue(name)
        self._key = prefix_of(group) + self.queue
        self.sign_file: Path | None = None
        self._doorbell = doorbell
        self._redis = redis
        self._threads = threads
        self._patience = patience
        self._on_deaf = on_deaf
        self._engine = engine
        self._busy = 0
        self._unheard_since: float | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)

    def start(self) -> None:
        """Begins to ring and to listen; call it once doorbells are heard."""
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Around the work of one thread of the pool."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                if self._busy >= self._threads:
                    # Until now no thread was free to hear anything.
                    self._unheard_since = None
                self._busy -= 1

    def heard(self) -> None:
        """A canary came through."""
        with self._lock:
            self._unheard_since = None
        if self.sign_file is not None:
            self.sign_file.touch()

    def ring(self) -> None:
        """Sends a canary, unless nobody would have time for it."""
        with self._lock:
            if self._busy >= self._threads:
                return
        try:
            self._doorbell.ring(CANARY_TASK, self.queue, "")
            self._redis.expire(self._key, LEFT_BEHIND_S)
        except (Unavailable, RedisError):
            # Redis is away, which is no deafness: once it is back both sides connect again.
            return
        with self._lock:
            if self._unheard_since is None:
                self._unheard_since = time.monotonic()

    def is_deaf(self) -> bool:
        with self._lock:
            since = self._unheard_since
            is_full = self._busy >= self._threads
        return since is not None and not is_full and time.monotonic() - since > self._patience.deaf_s

    def _watch(self) -> None:
        rung_at = float("-inf")
        while not self._stopped.wait(min(CHECK_EVERY_S, self._patience.deaf_s / 4)):
            if time.monotonic() - rung_at >= min(CANARY_EVERY_S, self._patience.deaf_s / 4):
                self.ring()
                rung_at = time.monotonic()
            if self._engine is not None and (silent_s := self._engine.silent_s()) > self._patience.stuck_s:
                log.error("The engine answers nothing.", action="engine.stuck", silent_s=round(silent_s))
                self._engine.give_up()
                return
            if self.is_deaf():
                log.error(
                    "Doorbells are no longer heard; the process ends so that it can be restarted.",
                    action="worker.deaf",
                    deaf_s=self._patience.deaf_s,
                )
                self._on_deaf()
                return
