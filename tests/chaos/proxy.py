"""A TCP proxy that does to connections what networks do: it cuts, swallows, delays and trickles."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Literal

Weather = Literal["fair", "blackhole", "delay", "trickle"]

DELAY_S = 0.3
TRICKLE_BYTES = 200
TRICKLE_EVERY_S = 0.02
CHUNK = 1 << 16


class Proxy:
    """Stands on a port of its own before `target`, a port on loopback. `weather` may change at any time.

    In a black hole what is sent is taken and never arrives, on connections that stand and on new ones: nobody is told.
    """

    def __init__(self, target: int) -> None:
        self.weather: Weather = "fair"
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])

    def reset(self) -> None:
        """Cuts every connection with a RST."""
        self._run(self._reset())

    def swallow(self) -> None:
        """Forgets every connection without a word: half-open from now on, while new ones work."""
        self._run(self._swallow())

    def close(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    async def _reset(self) -> None:
        for writer in [*self._writers]:
            # Zero linger turns the close into a reset.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    async def _swallow(self) -> None:
        for writer in [*self._writers]:
            writer.swallowed = True  # type: ignore[attr-defined]

    async def _close(self) -> None:
        self._server.close()
        await self._reset()
        copying = asyncio.all_tasks() - {asyncio.current_task()}
        for task in copying:
            task.cancel()
        await asyncio.gather(*copying, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, onward}
        try:
            await asyncio.gather(self._copy(reader, onward), self._copy(there, writer))
        finally:
            self._writers -= {writer, onward}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.weather == "blackhole" or getattr(writer, "swallowed", False):
                    continue
                if self.weather == "delay":
                    await asyncio.sleep(DELAY_S)
                await self._send(data, writer)
        with suppress(OSError, RuntimeError):
            writer.close()

    async def _send(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        while self.weather == "trickle" and data:
            writer.write(data[:TRICKLE_BYTES])
            data = data[TRICKLE_BYTES:]
            await writer.drain()
            await asyncio.sleep(TRICKLE_EVERY_S)
        writer.write(data)
        await writer.drain()
