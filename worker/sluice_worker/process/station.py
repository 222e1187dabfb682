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
    """Exit codes of a worker process. A supervisor restarts it, except after `DONE` and `MISCONFIGURED`."""

    DONE = 0
    FAILED = 1
    MISCONFIGURED = 78
    ENGINE_DEAD = 81
    GRACE_OVER = 82
    ENGINE_STUCK = 83
    DEAF = 84


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
        self._is_leaving = threading.Event()
        self._has_left = threading.Event()

    def serve(self, *, helpers: Iterable[Callable[[], None]], on_ready: Callable[[], None]) -> Exit:
        """Blocks until the worker has shut down; then stops the helper threads (the leases, the sweeper)."""
        ready, leaving = self._ready(on_ready), self._leaving
        worker_ready.connect(ready, weak=False)
        worker_shutting_down.connect(leaving, weak=False)
        threading.Thread(target=self._farewell, name="farewell", daemon=True).start()
        try:
            self._worker.start()
        finally:
            worker_ready.disconnect(ready)
            worker_shutting_down.disconnect(leaving)
        for stop in helpers:
            stop()
        self._has_left.set()
        if not self._is_leaving.is_set():
            # Nobody told it to stop: the broker was gone for too long, or Celery failed. It has logged why.
            self._code = Exit.FAILED
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
        # Called inside a signal handler: a log line here could wait for a lock that the interrupted code holds.
        self._is_leaving.set()

    def _farewell(self) -> None:
        self._is_leaving.wait()
        log.info(
            "The worker takes no more work and finishes what runs.", action="worker.leaving", grace_s=self._grace_s
        )
        if self._has_left.wait(self._grace_s):
            return
        log.warning("The grace time is over; what still runs is given back.", action="worker.abandoning")
        self._release()
        os._exit(self._code or Exit.GRACE_OVER)
