"""What gets into the knowledge base, and what does not."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from knowledge.knowledge_events import batch, completed, failed
from knowledge.knowledge_stage import OTHER, SECRET, Base, headers, serving

from sluice_knowledge.links import Links, read_links
from sluice_knowledge.signature import read_secrets
from sluice_schemas.errors import Misconfigured
from sluice_schemas.event import Event, Link

ADA = ("Ada Lovelace", "lives in", "London")
BODY = completed(ADA).encode()
NOTHING = {"status": "ok", "documents": 0, "entities": 0, "facts": 0, "events": 0}


def now() -> datetime:
    return datetime.now(UTC)


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in headers("w", BODY).items() if key != name}


# What is sent along with a body that would be taken if it were signed. Made when it is sent: signatures grow old.
UNSIGNED: list[Any] = [
    pytest.param(lambda: {}, id="nothing"),
    pytest.param(lambda: headers("w", BODY, OTHER), id="another secret"),
    pytest.param(lambda: headers("w", BODY + b" "), id="another body"),
    pytest.param(lambda: headers("w", BODY) | {"webhook-id": "v"}, id="another id"),
    pytest.param(lambda: headers("w", BODY, at=now() - timedelta(minutes=6)), id="too old"),
    pytest.param(lambda: headers("w", BODY, at=now() + timedelta(minutes=6)), id="too new"),
    pytest.param(lambda: without("webhook-signature"), id="no signature"),
    pytest.param(lambda: without("webhook-id"), id="no id"),
    pytest.param(lambda: headers("w", BODY) | {"webhook-timestamp": "soon"}, id="timestamp that is none"),
    pytest.param(lambda: headers("w", BODY) | {"webhook-timestamp": "nan"}, id="timestamp nan"),
    pytest.param(lambda: headers("w", BODY) | {"webhook-signature": "v1"}, id="signature without its comma"),
    pytest.param(lambda: headers("w", BODY) | {"webhook-signature": "v1,?"}, id="signature that is no base64"),
    pytest.param(lambda: headers("w", BODY) | {"webhook-signature": "v1,a,b"}, id="signature with two commas"),
]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    """For tests after which nothing is in it."""
    with serving(tmp_path_factory.mktemp("untouched")) as found:
        yield found


@pytest.mark.parametrize("sent", UNSIGNED)
def test_what_is_not_signed_is_refused(untouched: Base, sent: Callable[[], dict[str, str]]) -> None:
    answer = untouched.client.post("/webhooks", content=BODY, headers=sent())
    assert (answer.status_code, untouched.get("/health")) == (401, NOTHING)
    assert "secret" in answer.json()["detail"]


def test_bodies_that_are_no_text_are_refused(untouched: Base) -> None:
    sent = headers("w", b"x")
    assert untouched.client.post("/webhooks", content=b"\xff\xfe", headers=sent).status_code == 401


def test_what_is_signed_is_taken_once(base: Base) -> None:
    assert [base.send(completed(ADA), "w").status_code for _ in range(3)] == [204] * 3
    assert base.get("/health") == NOTHING | {"documents": 1, "entities": 2, "facts": 1}
    assert len(base.get("/api/events/recent")["events"]) == 1


def test_both_secrets_count_while_one_is_changed(tmp_path: Path) -> None:
    with serving(tmp_path, OTHER, SECRET) as base:
        codes = [base.send(completed(ADA, document=each), each, each).status_code for each in (SECRET, OTHER)]
        third = f"whsec_{base64.b64encode(b't' * 32).decode()}"
        assert [*codes, base.send(completed(ADA), "w", third).status_code] == [204, 204, 401]
        # A sender that changes its secret signs with both.
        assert base.send(completed(ADA, document="z"), "z", third, SECRET).status_code == 204


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="nothing in it"),
        pytest.param(BODY.replace(b'"v":1', b'"v":2'), id="a later format"),
        pytest.param(b'{"type":["x"]}', id="a type that is none"),
        pytest.param(b'{"type":"extraction.batch","events":[]}', id="a batch of nothing"),
    ],
)
def test_what_cannot_be_read_is_not_to_be_sent_again(untouched: Base, body: bytes) -> None:
    answer = untouched.send(body)
    assert (answer.status_code, untouched.get("/health")) == (422, NOTHING)
    assert len(answer.json()["detail"]) > 10


@pytest.mark.parametrize("is_told", [True, False], ids=["said in the headers", "found while reading"])
def test_bodies_without_end_are_refused(base: Base, is_told: bool) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(17):
            yield b" " * (1 << 20)

    content = b" " * ((16 << 20) + 1) if is_told else pieces()
    with suppress(httpx.WriteError, httpx.ReadError):  # it may hang up before all is sent
        assert base.client.post("/webhooks", content=content).status_code == 413
    assert base.get("/health") == NOTHING


def test_failures_and_notices_change_no_fact(base: Base) -> None:
    base.send(completed(ADA), "1")
    before = base.get("/health")
    assert base.send(failed(document_version=9), "2").status_code == 204
    for kind in ("endpoint.disabled", "endpoint.test"):
        notice = b'{"type":"%b","timestamp":"2026-01-01T00:00:00Z","endpoint":"kb","reason":"410"}' % kind.encode()
        assert base.send(notice, kind).status_code == 204
    assert base.get("/health") == before
    told = [each["type"] for each in base.get("/api/events/recent")["events"]]
    assert told == ["endpoint.test", "endpoint.disabled", "extraction.failed", "extraction.completed"]
    # A failed try at a new version takes nothing away, and does not make older events late.
    assert base.send(completed(("a", "b", "c"), document_version=1), "3").status_code == 204
    assert base.get("/api/events/recent")["events"][0]["state"] == "new"


def test_the_events_of_a_batch_are_taken_under_their_own_ids(base: Base) -> None:
    one, two = completed(ADA, document="1"), completed(ADA, document="2")
    assert base.send(batch(a=one, b=two), "batch-1").status_code == 204
    assert base.send(batch(b=two, c=completed(ADA, document="3")), "batch-2").status_code == 204
    assert base.send(one, "a").status_code == 204
    assert [each["id"] for each in base.get("/api/events/recent")["events"]] == ["c", "b", "a"]
    assert base.get("/health")["documents"] == 3


class Files(ThreadingHTTPServer):
    """Serves whole events, or whatever else a test wants."""

    def __init__(self) -> None:
        files = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                files.asked.append(self.path)
                status, body = files.found.get(self.path, (404, b""))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", body.decode())
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.found: dict[str, tuple[int, bytes]] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def files() -> Iterator[Files]:
    server = Files()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


WHOLE = completed(ADA)


def thin(url: str, of: Event = WHOLE) -> Event:
    return of.thin(Link(url=url, expires_at="2030-01-01T00:00:00Z"))


def test_an_event_behind_a_link_is_fetched_from_the_allowed_place_alone(tmp_path: Path) -> None:
    with files() as store, serving(tmp_path, links=Links(f"{store.url}/events")) as base:
        store.found = {"/events/a?signature=s": (200, WHOLE.encode()), "/other/a": (200, WHOLE.encode())}
        for url in (
            f"{store.url}/other/a",
            f"{store.url}/events/../other/a",
            f"{store.url}/events/%2e%2e/other/a",
            f"{store.url}.evil.example/events/a",
            store.url.replace("127.0.0.1", "u:p@127.0.0.1") + "/events/a",
            "file:///etc/passwd",
            "http://[",
        ):
            assert base.send(thin(url), "w").status_code == 422, url
        assert (store.asked, base.get("/health")) == ([], NOTHING)
        assert base.send(thin(f"{store.url}/events/a?signature=s"), "w").status_code == 204
        assert base.get("/health")["facts"] == 1


def test_links_are_not_followed_unless_it_is_set(base: Base) -> None:
    with files() as store:
        answer = base.send(thin(f"{store.url}/events/a"))
        assert (answer.status_code, store.asked) == (422, [])
        assert "SLUICE_KNOWLEDGE_LINKS" in answer.json()["detail"]


Linked = tuple[Files, Base]


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:
    """Files, and a knowledge base that may fetch small ones."""
    folder = tmp_path_factory.mktemp("linked")
    with files() as store, serving(folder, links=Links(f"{store.url}/events", max_bytes=20_000)) as base:
        yield store, base


# What the link leads to, and whether to send the webhook again may help.
BEHIND: list[Any] = [
    pytest.param(200, completed(ADA, document="another").encode(), 422, id="another job"),
    pytest.param(200, completed(ADA, fence=7).encode(), 422, id="another fence"),
    pytest.param(200, failed().encode(), 422, id="an event without an extraction"),
    pytest.param(200, thin("http://x/").encode(), 422, id="a link to a link"),
    pytest.param(200, b"<html>", 422, id="no event"),
    pytest.param(200, b" " * 20_001 + WHOLE.encode(), 422, id="without end"),
    pytest.param(302, b"/events/b", 422, id="a redirect"),
    pytest.param(410, b"", 422, id="expired"),
    pytest.param(500, b"", 503, id="a fault of theirs"),
]


@pytest.mark.parametrize(("status", "body", "code"), BEHIND)
def test_what_a_link_leads_to_must_be_that_event(linked: Linked, status: int, body: bytes, code: int) -> None:
    store, base = linked
    store.asked.clear()
    store.found = {"/events/a": (status, body), "/events/b": (200, WHOLE.encode())}
    assert base.send(thin(f"{store.url}/events/a")).status_code == code
    assert (store.asked, base.get("/health")) == (["/events/a"], NOTHING)


def test_nobody_behind_the_link_is_for_later(tmp_path: Path) -> None:
    with files() as store:
        url = store.url
    with serving(tmp_path, links=Links(url)) as base:
        answer = base.send(thin(f"{url}/a"))
        assert answer.status_code == 503
        assert "retry-after" in answer.headers


@pytest.mark.parametrize(
    "secret", ["", "x", "whsec_", "whsec_?", "whsec_aGk=", f"{SECRET} {OTHER} {SECRET}", SECRET.removeprefix("whsec_")]
)
def test_secrets_that_cannot_sign_are_refused_at_the_start(secret: str) -> None:
    with pytest.raises(Misconfigured, match="SLUICE_KNOWLEDGE_SECRET") as raised:
        read_secrets({"SLUICE_KNOWLEDGE_SECRET": secret})
    assert not secret or len(secret) < 3 or secret.split()[0] not in str(raised.value) or secret == "whsec_"
    assert read_secrets({"SLUICE_KNOWLEDGE_SECRET": f"{SECRET} {OTHER}"}) == [SECRET, OTHER]


@pytest.mark.parametrize("base_url", ["files.example", "ftp://x/", "http://x/?a=b", "http:///x"])
def test_places_of_links_must_be_urls(base_url: str) -> None:
    with pytest.raises(Misconfigured, match="SLUICE_KNOWLEDGE_LINKS"):
        read_links({"SLUICE_KNOWLEDGE_LINKS": base_url})
