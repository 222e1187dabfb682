"""An engine under observation: one that takes requests and answers none is as dead as one that says so."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path

from sluice_schemas.errors import EngineStuck
from sluice_worker.engine.request import Completion, Engine, Request


class AttendedEngine:
    """Passes everything on to `engine`, and knows how long it has answered nothing."""

    def __init__(self, engine: Engine) -> None:
        self.card = engine.card
        self._engine = engine
        self._asked: set[Future[Completion]] = set()
        self._answered_at = time.monotonic()
        self._lock = threading.Lock()

    def silent_s(self) -> float:
        """Seconds since its last answer, while one is owed; else 0."""
        with self._lock:
            return time.monotonic() - self._answered_at if self._asked else 0.0

    def give_up(self) -> None:
        """Fails every request that waits, so that its document becomes a suspect and the process ends."""
        silent_s = self.silent_s()
        with self._lock:
            asked = [*self._asked]
        for future in asked:
            with suppress(InvalidStateError):
                future.set_exception(EngineStuck(f"The engine answered nothing for {silent_s:.0f} s."))

    def count_tokens(self, text: str) -> int:
        return self._engine.count_tokens(text)

    def submit(self, request: Request) -> "Future[Completion]":
        return self._attend([self._engine.submit(request)])[0]

    def submit_all(self, requests: Sequence[Request]) -> "list[Future[Completion]]":
        return self._attend(self._engine.submit_all(requests))

    def load_adapter(self, folder: Path) -> str:
        return self._engine.load_adapter(folder)

    def drop_adapter(self, name: str) -> None:
        self._engine.drop_adapter(name)

    def close(self) -> None:
        self._engine.close()

    def _attend(self, futures: "list[Future[Completion]]") -> "list[Future[Completion]]":
        with self._lock:
            if not self._asked:
                self._answered_at = time.monotonic()
            self._asked.update(futures)
        for future in futures:
            future.add_done_callback(self._done)
        return futures

    def _done(self, future: "Future[Completion]") -> None:
        with self._lock:
            self._asked.discard(future)
            self._answered_at = time.monotonic()
