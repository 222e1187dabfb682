"""The last webhooks, and whoever listens for the next: a listener that is too slow loses its line, never the others."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime

import orjson

from sluice_knowledge.books import Taken
from sluice_knowledge.evidence import Json

KEPT = 500
WAITING = 100
"""How many events may wait for a listener."""
ALIVE_S = 15.0
MAX_LISTENERS = 100

Numbered = tuple[int, Taken]


class Recent:
    """Numbers grow with time, over restarts too, so that a listener that comes back says where it was."""

    def __init__(self, taken: Iterable[Taken] = ()) -> None:
        self._kept: deque[Numbered] = deque(maxlen=KEPT)
        self._listeners: set[_Listener] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        for each in taken:
            self.publish(each)

    def publish(self, taken: Taken) -> None:
        """To be called from any thread, once for each event that was not known."""
        with self._lock:
            last = self._kept[-1][0] if self._kept else 0
            # Microseconds since 1970, which JavaScript counts exactly.
            numbered = (max(last + 1, int(datetime.fromisoformat(taken.at).timestamp() * 1e6)), taken)
            self._kept.append(numbered)
            for each in self._listeners:
                each.tell(numbered)

    def latest(self, limit: int) -> list[Json]:
        """The newest first."""
        with self._lock:
            return [asdict(taken) for _, taken in [*self._kept][-limit:][::-1]]

    def close(self) -> None:
        """Ends all streams: a server that stops waits for them."""
        with self._lock:
            self._is_closed = True
            for each in self._listeners:
                each.tell(None)

    async def stream(self, after: int | None) -> AsyncIterator[bytes]:
        """Server-sent events: what came after a number, as far as it is kept, and then what comes."""
        listener = _Listener(asyncio.get_running_loop())
        with self._lock:
            missed = [each for each in self._kept if after is not None and each[0] > after]
            is_full = self._is_closed or len(self._listeners) >= MAX_LISTENERS
            if not is_full:
                self._listeners.add(listener)
        if is_full:
            yield b"retry: 15000\n\n"
            return
        try:
            yield b"retry: 2000\n\n" + _lines(missed)
            async for piece in listener.pieces():
                yield piece
        finally:
            with self._lock:
                self._listeners.discard(listener)


class _Listener:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Numbered | None] = asyncio.Queue(WAITING)
        self._has_lost = False

    def tell(self, numbered: Numbered | None) -> None:
        with suppress(RuntimeError):  # its loop has ended, and with it whoever listened
            self._loop.call_soon_threadsafe(self._put, numbered)

    def _put(self, numbered: Numbered | None) -> None:
        if self._has_lost:
            return
        if self._queue.full():
            # Room for the end. Who comes back with its last number gets what it lost.
            self._queue.get_nowait()
            self._has_lost, numbered = True, None
        self._queue.put_nowait(numbered)

    async def pieces(self) -> AsyncIterator[bytes]:
        while True:
            try:
                numbered = await asyncio.wait_for(self._queue.get(), ALIVE_S)
            except TimeoutError:
                yield b": alive\n\n"
                continue
            if self._has_lost:
                yield b"event: lost\ndata: {}\n\n"
                return
            if numbered is None:
                return
            yield _lines([numbered])


def _lines(told: Sequence[Numbered]) -> bytes:
    return b"".join(
        b"id: %d\nevent: taken\ndata: %b\n\n" % (number, orjson.dumps(asdict(taken))) for number, taken in told
    )
