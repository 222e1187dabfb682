"""A real knowledge base on loopback, with a real store on disk, and how to sign what is sent to it."""

import base64
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks import Webhook

from sluice_knowledge import books, guard
from sluice_knowledge.app import make
from sluice_knowledge.graph import Graph
from sluice_knowledge.links import Links
from sluice_knowledge.recent import KEPT, Recent
from sluice_knowledge.server import Server, listening
from sluice_schemas.wire import Wire

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
OTHER = f"whsec_{base64.b64encode(b'o' * 32).decode()}"
START_S = 10.0


def headers(webhook_id: str, body: bytes, *secrets: str, at: datetime | None = None) -> dict[str, str]:
    """Signed, as Standard Webhooks says."""
    now = at or datetime.now(UTC)
    signatures = [Webhook(each).sign(webhook_id, now, body.decode()) for each in secrets or (SECRET,)]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


@dataclass
class Base:
    """A knowledge base that serves."""

    url: str
    graph: Graph
    client: httpx.Client

    def send(self, message: Wire | bytes, webhook_id: str = "w", *secrets: str) -> httpx.Response:
        body = message if isinstance(message, bytes) else message.encode()
        return self.client.post("/webhooks", content=body, headers=headers(webhook_id, body, *secrets))

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def find(self, name: str) -> Any:
        """The one entity of that very name, whole."""
        found = self.get("/api/search", q=name)["results"]
        return self.get(f"/api/entities/{found[0]['id']}")

    def ask(self, query: str) -> list[tuple[str, ...]]:
        rows = self.get("/sparql", query=query)["results"]["bindings"]
        return sorted(tuple(term["value"] for term in row.values()) for row in rows)


@contextmanager
def serving(
    folder: Path, *secrets: str, links: Links | None = None, query_s: float = 10.0, hosts: Sequence[str] = ()
) -> Iterator[Base]:
    """Until the block ends."""
    graph = Graph(folder)
    recent = Recent(books.latest(graph.store, KEPT))
    app = make(
        graph,
        secrets or (SECRET,),
        recent=recent,
        links=links,
        hosts=guard.hosts("127.0.0.1", hosts),
        query_s=query_s,
    )
    is_ready, urls = threading.Event(), list[str]()

    def say(url: str) -> None:
        urls.append(url)
        is_ready.set()

    server = Server(app, recent, on_ready=say)
    with listening("127.0.0.1", 0) as ear:
        thread = threading.Thread(target=server.run, args=([ear],))
        thread.start()
        assert is_ready.wait(START_S)
        try:
            with httpx.Client(base_url=urls[0], timeout=20) as client:
                yield Base(urls[0], graph, client)
        finally:
            server.should_exit = True
            thread.join()
            graph.close()
