"""Serves the knowledge base's page from its files, with the headers that the real server sends, and canned answers."""

import json
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from browser.knowledge_sample import Answer, Sample

from sluice_knowledge.guard import HEADERS

PAGE = Path(__file__).parents[2] / "deploy/knowledge_base/sluice_knowledge/page"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
}

NOTHING: Mapping[str, str] = {}


class StandIn:
    """A server of one sample. Tests replace `sample`, make paths fail or wait, and push what comes in."""

    def __init__(self, sample: Sample) -> None:
        self.begin(sample)
        self._streams: list[queue.Queue[Answer | None]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand_in": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def begin(self, sample: Sample) -> None:
        """Forgets what a test before did."""
        self.sample = sample
        self.failures: dict[str, tuple[int, Answer]] = {}
        self.delays_s: dict[str, float] = {}
        self.asked: list[str] = []

    def push(self, event: Answer) -> None:
        """Sends `event` to everyone who follows the stream."""
        self.sample.recent.insert(0, event)
        for stream in list(self._streams):
            stream.put(event)

    def break_streams(self) -> None:
        for stream in list(self._streams):
            stream.put(None)

    @contextmanager
    def stream(self) -> Iterator["queue.Queue[Answer | None]"]:
        waiting: queue.Queue[Answer | None] = queue.Queue()
        self._streams.append(waiting)
        yield waiting
        self._streams.remove(waiting)

    @contextmanager
    def running(self) -> Iterator["StandIn"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.break_streams()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def answer(self, path: str, wanted: dict[str, str]) -> tuple[int, Answer]:
        """What the API says to `path`."""
        match path.strip("/").split("/"):
            case ["health"]:
                return 200, self.sample.health()
            case ["api", "search"]:
                return 200, self.sample.search(wanted.get("q", ""), int(wanted.get("limit", 20)))
            case ["api", "events", "recent"]:
                return 200, {"events": self.sample.recent[: int(wanted.get("limit", 50))]}
            case ["api", "entities", id_, *rest] if id_ in self.sample.entities:
                if not rest:
                    return 200, self.sample.view(id_)
                return 200, self.sample.graph(id_, int(wanted["depth"]), int(wanted["limit"]))
            case _:
                return 404, {"detail": "No document has named an entity with this id."}


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        self.stand_in.asked.append(self.path)
        time.sleep(self.stand_in.delays_s.get(split.path, 0))
        if split.path in self.stand_in.failures:
            self._json(*self.stand_in.failures[split.path])
        elif split.path == "/api/events/stream":
            self._stream()
        elif split.path == "/" or split.path.startswith("/page/"):
            self._file(split.path.removeprefix("/page").lstrip("/") or "index.html")
        else:
            wanted = {key: values[0] for key, values in parse_qs(split.query).items()}
            self._json(*self.stand_in.answer(split.path, wanted))

    def _file(self, name: str) -> None:
        file = PAGE / name
        if not file.resolve().is_relative_to(PAGE) or not file.is_file():
            return self._json(404, {"detail": "There is no such file."})
        type_ = TYPES.get(file.suffix, "text/plain") + "; charset=utf-8"
        self._send(200, type_, file.read_bytes(), {"Cache-Control": "max-age=600"})  # many tests, one browser

    def _json(self, status: int, body: Answer) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, type_: str, body: bytes, more: Mapping[str, str] = NOTHING) -> None:
        self._head(status, type_, {"Content-Length": str(len(body)), **more})
        try:
            self.wfile.write(body)
        except OSError:
            return  # the page has gone on and no longer waits for this

    def _head(self, status: int, type_: str, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": type_, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self) -> None:
        self._head(200, "text/event-stream", {"Cache-Control": "no-store", "Connection": "close"})
        with self.stand_in.stream() as waiting:
            try:
                self.wfile.write(b"retry: 200\n\n")
                while (event := waiting.get()) is not None:
                    self.wfile.write(f"event: taken\ndata: {json.dumps(event)}\n\n".encode())
            except OSError:
                return  # the page was closed

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the tests read `asked`."""
