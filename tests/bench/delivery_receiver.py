"""Receivers for the benchmark of deliveries, all in one process: `python -m bench.delivery_receiver PORT_FILE LOG`.

A post to `/dead/...` is never answered. Of every other one the path, the jobs and the time are noted.
"""

import asyncio
import sys
import time
from pathlib import Path

import orjson


async def main(port_file: Path, log: Path) -> None:
    with log.open("w", buffering=1) as notes:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    path, headers = _head(head)
                    body = await reader.readexactly(int(headers["content-length"]))
                    if path.startswith("/dead/"):
                        await asyncio.sleep(3600)
                    now = time.time()
                    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                    await writer.drain()
                    for each in _jobs(body):
                        notes.write(f"{path} {each} {now:.6f}\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port_file.write_text(str(server.sockets[0].getsockname()[1]))
        await server.serve_forever()


def _head(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode().split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return first.split()[1], {name.lower(): value.strip() for name, _, value in pairs}


def _jobs(body: bytes) -> list[str]:
    told = orjson.loads(body)
    return [each["event"]["job"]["id"] for each in told["events"]] if "events" in told else [told["job"]["id"]]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
