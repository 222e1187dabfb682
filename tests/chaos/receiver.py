"""A webhook receiver that behaves as receivers do: it remembers ids, and sometimes fails, hangs or cuts the line."""

import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from sluice_schemas.event import Event


@dataclass(frozen=True, slots=True)
class Arrival:
    """A post that was read whole. `is_new`: no post with its id had been accepted before, and this one was."""

    webhook_id: str
    job_id: str
    state: str
    is_verified: bool
    is_new: bool
    is_accepted: bool


class Receiver:
    """Listens on loopback until it is closed. `trouble` is the share of posts that it does not answer well."""

    def __init__(self, secret: str, *, seed: int, trouble: float = 0.1) -> None:
        self.trouble = trouble
        self.is_down = False
        self.arrivals: list[Arrival] = []
        self._webhook = Webhook(secret)
        self._random = random.Random(seed)
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, headers: dict[str, str], body: bytes) -> str:
        """What to do with a post: `accept`, `fail`, `late` (accepts, and answers when nobody waits) or `cut`."""
        with self._lock:
            answer = "accept"
            if self.is_down:
                answer = "fail"
            elif self._random.random() < self.trouble:
                answer = self._random.choice(("fail", "late", "cut"))
            is_accepted = answer in ("accept", "late")
            webhook_id = headers.get("webhook-id", "")
            is_new = is_accepted and webhook_id not in self._known
            if is_accepted:
                self._known.add(webhook_id)
            job = Event.decode(body).job
            self.arrivals.append(
                Arrival(webhook_id, job.id, job.state, self._is_verified(headers, body), is_new, is_accepted)
            )
            return answer

    def _is_verified(self, headers: dict[str, str], body: bytes) -> bool:
        try:
            self._webhook.verify(body, headers)
        except WebhookVerificationError:
            return False
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
                if answer == "late":
                    time.sleep(2.5)
                if answer == "cut":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    return
                self.send_response(500 if answer == "fail" else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
