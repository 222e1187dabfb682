"""Runs one Celery worker in this process, from its first doorbell to its last, and says how it ended."""

import enum
import os
import signal
import threading
from collections.abc import Callable, Iterable

import structlog
from celery import Celery
from celery.signals import worker_ready, worker_shutting_down

log = structlog.get_logger()


class Exit(enum.IntEnum):
    """Exit codes of a worker process. A supervisor restarts it after every one but `DONE`."""

    DONE = 0
    MISCONFIGURED = 78
    ENGINE_DEAD = 81
    GRACE_OVER = 82


class Station:
    """A Celery worker on threads with a bounded farewell.

    SIGTERM stops the intake and lets running tasks finish. After `grace_s` seconds `release` is called, which gives
    back what still runs, and the process ends with `GRACE_OVER`.
    """

    def __init__(self, app: Celery, *, threads: int, grace_s: float, release: Callable[[], None]) -> None:
        self._worker = app.Worker(
            pool="threads",
            concurrency=threads,
            prefetch_multiplier=1,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
            loglevel="WARNING",
        )
        self._grace_s = grace_s
        self._release = release
        self._code = Exit.DONE

    def serve(self, *, helpers: Iterable[Callable[[], None]], on_ready: Callable[[], None]) -> Exit:
        """Blocks until the worker has shut down; then stops the helper threads (the leases, the sweeper)."""
        connected = [worker_ready.connect(self._ready(on_ready), weak=False)]
        connected.append(worker_shutting_down.connect(self._leaving, weak=False))
        self._worker.start()
        for stop in helpers:
            stop()
        log.info("The worker has stopped.", action="worker.stopped", code=int(self._code))
        return self._code

    def end(self, code: Exit) -> None:
        """Begins the shutdown from inside: what runs may still note how it ended."""
        self._code = code
        os.kill(os.getpid(), signal.SIGTERM)

    def _ready(self, on_ready: Callable[[], None]) -> Callable[..., None]:
        def ready(**_: object) -> None:
            log.info("The worker takes documents.", action="worker.ready")
            on_ready()

        return ready

    def _leaving(self, **_: object) -> None:
        log.info(
            "The worker takes no more work and finishes what runs.", action="worker.leaving", grace_s=self._grace_s
        )
        timer = threading.Timer(self._grace_s, self._abandon)
        timer.daemon = True
        timer.start()

    def _abandon(self) -> None:
        log.warning("The grace time is over; what still runs is given back.", action="worker.abandoning")
        self._release()
        os._exit(Exit.GRACE_OVER)
