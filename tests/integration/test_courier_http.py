"""The courier against a real server on loopback that checks signatures with the public library."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
import strict_redis
import trustme
from delivery_stage import OTHER, SECRET, Office
from impostor import posing
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_inbox import receiving

from sluice_schemas.ledger import Receipt
from sluice_worker.delivery.outbound import Network, make_client

TIMEOUT_S = 0.4
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


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


def go(office: Office, url: str, secret: str = SECRET, networks: Sequence[Network] = LOOPBACK) -> bool:
    """One attempt, as late as it takes to be due; whether the delivery is over then."""
    office.later()
    office.set(url=url, allow_http=True)
    office.secrets["SLUICE_SECRET_KB"] = secret
    with make_client(timeout_s=TIMEOUT_S, networks=networks) as client:
        office.courier(client).post_next()
    return office.is_over()


def posted(office: Office) -> str:
    """The id of the one delivery that there is."""
    given = office.stage.consignment()
    office.stage.settle(given, Receipt("released"))
    return given.claims[0].id


def resets(handler: Handler) -> None:
    # Closed without a word.
    handler.close_connection = True


def is_slow(handler: Handler) -> None:
    time.sleep(TIMEOUT_S * 2)
    handler.answer(204)


def trickles_headers(handler: Handler) -> None:
    for each in b"HTTP/1.1 204 No Content\r\nx: " + b"y" * 200:
        try:
            handler.wfile.write(bytes([each]))
        except OSError:
            return
        time.sleep(TIMEOUT_S / 8)


def sends_headers_without_end(handler: Handler) -> None:
    handler.send_response(204)
    handler.flush_headers()
    for number in range(2000):
        try:
            handler.wfile.write(b"x-%d: %s\r\n" % (number, b"y" * 1000))
        except OSError:
            return


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
    pytest.param(lambda handler: handler.answer(429, **{"retry-after": "120"}), False, id="asks to be left alone"),
    pytest.param(lambda handler: handler.answer(410), True, id="wants no more"),
    pytest.param(resets, False, id="hangs up"),
    pytest.param(sends_headers_without_end, False, id="sends headers without end"),
    pytest.param(is_slow, False, id="is slow"),
    pytest.param(trickles_headers, False, id="answers a byte at a time"),
    # The status is the answer; nobody waits for the end of the body.
    pytest.param(talks_for_ever, True, id="talks for ever"),
]


@pytest.mark.parametrize(("act", "is_over"), RECEIVERS)
def test_receiver(act: Callable[[Handler], None], is_over: bool) -> None:
    office = Office()
    delivery = posted(office)
    with serving(act) as server:
        started = time.monotonic()
        assert go(office, server.url) == is_over
        assert time.monotonic() - started < 5
        assert server.verified == [delivery]


def test_what_a_receiver_asks_for_is_kept_to() -> None:
    office, codes = Office(jobs=3), iter((429, 410))
    with serving(lambda handler: handler.answer(next(codes), **{"retry-after": "120"})) as server:
        go(office, server.url)
        with make_client(timeout_s=TIMEOUT_S, networks=LOOPBACK) as client:
            assert not office.courier(client).post_next(), "it is left alone"
            office.clock.now += 121
            assert office.courier(client).post_next()
            office.later()
            assert not office.courier(client).post_next(), "it is disabled"
        assert len(server.verified) == 2
    assert office.stage.outbox.endpoint("kb").state == "disabled"


def test_refused_connection() -> None:
    office = Office()
    with serving(lambda handler: None) as server:
        url = server.url
    assert not go(office, url)


def test_receiver_without_a_trusted_certificate_is_told_nothing(tmp_path: Path) -> None:
    office, made = Office(), strict_redis.certificates(tmp_path, trustme.CA())
    with posing(made["tls-cert-file"], made["tls-key-file"]) as impostor:
        assert not go(office, f"https://127.0.0.1:{impostor.port}/events")
        assert impostor.callers == 1
        assert impostor.heard == b""


def test_proxy_of_the_environment_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    office = Office()
    delivery = posted(office)
    with serving(lambda handler: handler.answer(204)) as server:
        assert go(office, server.url)
        assert server.verified == [delivery]


def test_loopback_is_refused_unless_it_is_listed() -> None:
    office = Office()
    with serving(lambda handler: handler.answer(204)) as server:
        assert not go(office, server.url, networks=())
        assert not go(office, server.url.replace("127.0.0.1", "localhost"), networks=())
        assert server.verified == []
        assert go(office, server.url)


def test_failure_then_success_under_one_id() -> None:
    office, codes = Office(), iter((500, 503, 204))
    delivery = posted(office)
    with serving(lambda handler: handler.answer(next(codes))) as server:
        assert [go(office, server.url) for _ in range(3)] == [False, False, True]
        assert server.verified == [delivery] * 3


def test_bad_signature_is_refused_and_a_mended_secret_gets_through() -> None:
    office = Office()
    delivery = posted(office)
    with serving(lambda handler: handler.answer(204)) as server:
        assert not go(office, server.url, OTHER)
        assert server.verified == []
        assert go(office, server.url)
        assert server.verified == [delivery]


def test_the_inbox_counts_an_event_once_and_believes_only_what_is_signed() -> None:
    office = Office()
    delivery = posted(office)
    with receiving(SECRET) as inbox:
        assert not go(office, inbox.url, OTHER)
        assert (inbox.events, inbox.refused) == ({}, 1)
        assert go(office, inbox.url)
        assert [*inbox.events] == [delivery]
        for headers in ({}, {"webhook-id": "x", "webhook-timestamp": "soon", "webhook-signature": "v1,?"}):
            assert httpx.post(inbox.url, content=b"{}", headers=headers).status_code == 401
        assert len(inbox.events) == 1
