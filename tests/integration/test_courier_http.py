"""The courier against a real server on loopback that checks signatures with the public library."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from ledger_stage import extraction, order
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from sluice_schemas.ledger import MemoryLedger
from sluice_worker.delivery.courier import Courier, Destination, make_client
from sluice_worker.demo.receiver import receiving

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
OTHER = f"whsec_{base64.b64encode(b'o' * 32).decode()}"
TIMEOUT_S = 0.4
LATER_S = 10_000.0


class Handler(BaseHTTPRequestHandler):
    """Does what `act` of its server says, and remembers ids whose signature is true."""

    server: "Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            Webhook(SECRET).verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError:
            self.answer(401)
            return
        self.server.verified.append(self.headers["webhook-id"])
        self.server.act(self)

    def do_GET(self) -> None:
        self.server.verified.append("redirect followed")
        self.answer(204)

    def answer(self, code: int, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def __init__(self, act: Callable[[Handler], None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.act = act
        self.verified: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/events"


@contextmanager
def serving(act: Callable[[Handler], None]) -> Iterator[Server]:
    server = Server(act)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Office:
    """A courier with a delivery to make, and a clock to turn."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.ledger = MemoryLedger(clock=lambda: self.now)
        job = self.ledger.accept(order(endpoints=("kb",)))
        claim = self.ledger.claim(job.id, "w")
        assert claim is not None
        (self.delivery,) = self.ledger.commit(claim, extraction(claim))

    def go(self, url: str, secret: str = SECRET) -> bool:
        """One attempt, as late as it takes to be due; whether the delivery is over then."""
        self.now += LATER_S
        with make_client(timeout_s=TIMEOUT_S) as client:
            Courier(self.ledger, {"kb": Destination(url, SecretStr(secret))}, client, "c", 12).run(self.delivery)
        return self.ledger.counts().deliveries == 0


def resets(handler: Handler) -> None:
    # Closed without a word.
    handler.close_connection = True


def is_slow(handler: Handler) -> None:
    time.sleep(TIMEOUT_S * 2)
    handler.answer(204)


def talks_for_ever(handler: Handler) -> None:
    handler.answer(200)
    for _ in range(200):
        try:
            handler.wfile.write(b"x" * 65536)
        except OSError:
            return
        time.sleep(0.05)


# What the receiver does, and whether the delivery is over then.
RECEIVERS = [
    pytest.param(lambda handler: handler.answer(204), True, id="takes it"),
    pytest.param(lambda handler: handler.answer(302, location="/elsewhere"), False, id="redirects"),
    pytest.param(lambda handler: handler.answer(500), False, id="fails"),
    pytest.param(resets, False, id="hangs up"),
    pytest.param(is_slow, False, id="is slow"),
    # The status is the answer; nobody waits for the end of the body.
    pytest.param(talks_for_ever, True, id="talks for ever"),
]


@pytest.mark.parametrize(("act", "is_over"), RECEIVERS)
def test_receiver(act: Callable[[Handler], None], is_over: bool) -> None:
    office = Office()
    with serving(act) as server:
        started = time.monotonic()
        assert office.go(server.url) == is_over
        assert time.monotonic() - started < 5
        assert server.verified == [office.delivery]


def test_refused_connection() -> None:
    office = Office()
    with serving(lambda handler: None) as server:
        url = server.url
    assert not office.go(url)


def test_failure_then_success_under_one_id() -> None:
    office, codes = Office(), iter((500, 503, 204))
    with serving(lambda handler: handler.answer(next(codes))) as server:
        assert [office.go(server.url) for _ in range(3)] == [False, False, True]
        assert server.verified == [office.delivery] * 3


def test_bad_signature_is_refused_and_a_mended_secret_gets_through() -> None:
    office = Office()
    with serving(lambda handler: handler.answer(204)) as server:
        assert not office.go(server.url, OTHER)
        assert server.verified == []
        assert office.go(server.url)
        assert server.verified == [office.delivery]


def test_the_demos_receiver_counts_an_event_once_and_believes_only_what_is_signed() -> None:
    office = Office()
    with receiving(SECRET) as inbox:
        assert not office.go(inbox.url, OTHER)
        assert (inbox.events, inbox.refused) == ({}, 1)
        assert office.go(inbox.url)
        assert [*inbox.events] == [office.delivery]
        for headers in ({}, {"webhook-id": "x", "webhook-timestamp": "soon", "webhook-signature": "v1,?"}):
            assert httpx.post(inbox.url, content=b"{}", headers=headers).status_code == 401
        assert len(inbox.events) == 1
