"""Reads lines from a pipe without falling asleep in it, so that results come out while no document comes in."""

import os
import select
from typing import BinaryIO

SILENCE_S = 0.05
CHUNK_BYTES = 64 * 1024


class Pipe:
    """The lines of something that select(2) can wait for. Nothing else may read it."""

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._held = bytearray()
        self._has_ended = False

    def readline(self, size: int) -> bytes | None:
        """A line, or its first `size` bytes; empty at the end; None when nothing came for a while."""
        searched = 0
        while not self._has_ended and len(self._held) < size:
            if (end := self._held.find(b"\n", searched)) >= 0:
                return self._take(min(end + 1, size))
            searched = len(self._held)
            if not select.select([self._descriptor], [], [], SILENCE_S)[0]:
                return None
            chunk = os.read(self._descriptor, CHUNK_BYTES)
            self._held += chunk
            self._has_ended = not chunk
        end = self._held.find(b"\n", searched, size)
        return self._take(end + 1 if end >= 0 else size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken
