"""One running knowledge base: from the folder to the socket, and back in order."""

import signal
import socket
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from sluice_knowledge import books, guard
from sluice_knowledge.app import make
from sluice_knowledge.graph import Graph
from sluice_knowledge.links import read_links
from sluice_knowledge.recent import KEPT, Recent
from sluice_knowledge.signature import read_secrets

log = structlog.get_logger()

GRACE_S = 10


class Server(uvicorn.Server):
    """Uvicorn, which says when it serves, and ends the streams before it waits for their end."""

    def __init__(self, app: FastAPI, recent: Recent, *, on_ready: Callable[[str], None]) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            # Names of proxies decide nothing here.
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        super().__init__(config)
        self._recent, self._on_ready = recent, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            self._on_ready(_url(sockets[0]))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._recent.close()
        await super().shutdown(sockets)


def serve(
    folder: Path,
    *,
    host: str,
    port: int,
    environment: Mapping[str, str],
    allowed_hosts: Collection[str] = (),
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Until SIGTERM or SIGINT. Raises `Misconfigured`, or `Conflict` when another process has the folder."""
    secrets, links = read_secrets(environment), read_links(environment)
    graph = Graph(folder)
    try:
        recent = Recent(books.latest(graph.store, KEPT))
        app = make(graph, secrets, recent=recent, links=links, hosts=guard.hosts(host, allowed_hosts))
        with listening(host, port) as ear:
            # uvicorn raises the signal that ended it again: by then this process has done what it asks for.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: None)
            Server(app, recent, on_ready=on_ready).run([ear])
    finally:
        graph.close()


def mark(ready_file: Path | None, url: str) -> None:
    """Writes the file that tells a supervisor that this process serves, and where."""
    if ready_file is not None:
        ready_file.parent.mkdir(parents=True, exist_ok=True)
        ready_file.write_text(f"{url}\n")


def listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def _url(ear: socket.socket) -> str:
    host, port = ear.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
