"""A receiver of webhooks on loopback: believes only what is signed, and counts each event once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

from sluice_schemas.event import Event, read

MAX_BODY_BYTES = 8 << 20


@dataclass(slots=True)
class Inbox:
    """What has arrived, by `webhook-id`: an event that is delivered twice counts once."""

    url: str
    events: dict[str, Event] = field(default_factory=dict)
    refused: int = 0


@contextmanager
def receiving(secret: str, *, port: int = 0) -> Iterator[Inbox]:
    """A receiver on loopback until the block ends; on a free port, unless one is given."""
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    inbox = Inbox(f"http://127.0.0.1:{server.server_address[1]}/events")
    server.RequestHandlerClass = _handler(inbox, Webhook(secret))
    thread = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()


def _handler(inbox: Inbox, webhook: Webhook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(min(length, MAX_BODY_BYTES))
            self.send_response(self._take(body))
            self.end_headers()

        def _take(self, body: bytes) -> int:
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                webhook.verify(body, headers)
            except (WebhookVerificationError, ValueError):  # verify lets malformed headers through as ValueError
                inbox.refused += 1
                return 401
            event = read(body)
            if isinstance(event, Event):
                inbox.events[headers["webhook-id"]] = event
            return 204

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
