"""Work that waits for no doorbell, while none can be rung."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()


class Unbidden:
    """One thread that takes a job after the other, until `take` says that none was there."""

    def __init__(self, take: Callable[[], bool]) -> None:
        self._take = take
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Begins, unless it is at it."""
        if self._lock.acquire(blocking=False):
            log.warning("Doorbells cannot be rung; working without them.", action="work.unbidden")
            threading.Thread(target=self._work, name="unbidden", daemon=True).start()

    def _work(self) -> None:
        try:
            while self._take():
                pass
        finally:
            self._lock.release()
