"""What each answer of a receiver makes of a delivery."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import orjson
import pytest
import structlog
from ledger_stage import extraction, order
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from sluice_schemas.errors import Lost, Misconfigured, Unavailable
from sluice_schemas.event import Event
from sluice_schemas.ledger import DeliveryClaim, MemoryLedger
from sluice_worker.delivery.courier import Courier, Destination
from sluice_worker.process.deliverer import destinations
from sluice_worker.settings import Settings

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
URL = "https://kb.example/events"
Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Office:
    """A courier with one delivery to make."""

    answer: Answer
    posted: list[httpx.Request] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    endpoint: str = "kb"
    attempts: int = 3

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(clock=self.clock)
        job = self.ledger.accept(order(endpoints=(self.endpoint,)))
        claim = self.ledger.claim(job.id, "w")
        assert claim is not None
        (self.delivery,) = self.ledger.commit(claim, extraction(claim))

    def go(self, ledger: MemoryLedger | None = None) -> None:
        def post(request: httpx.Request) -> httpx.Response:
            self.posted.append(request)
            return self.answer(request)

        with httpx.Client(transport=httpx.MockTransport(post)) as client:
            known = {"kb": Destination(URL, SecretStr(SECRET))}
            Courier(ledger or self.ledger, known, client, "c", self.attempts).run(self.delivery)

    def is_over(self) -> bool:
        return self.ledger.counts().deliveries == 0


def status(code: int) -> Answer:
    return lambda request: httpx.Response(code, headers={"location": "https://evil.example/"})


def breaks(exc: Exception) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise exc

    return answer


# What the receiver does, and whether the delivery is over then.
ANSWERS = [
    pytest.param(status(200), True, id="200"),
    pytest.param(status(204), True, id="204"),
    pytest.param(status(299), True, id="299"),
    # Redirects are failures: the signed body must not wander.
    pytest.param(status(301), False, id="301"),
    pytest.param(status(307), False, id="307"),
    pytest.param(status(308), False, id="308"),
    pytest.param(status(400), False, id="400"),
    pytest.param(status(401), False, id="401"),
    pytest.param(status(404), False, id="404"),
    # The receiver wants no more of it.
    pytest.param(status(410), True, id="410"),
    pytest.param(status(429), False, id="429"),
    pytest.param(status(500), False, id="500"),
    pytest.param(status(503), False, id="503"),
    pytest.param(breaks(httpx.ReadTimeout("slow")), False, id="slow"),
    pytest.param(breaks(httpx.ConnectError("refused")), False, id="refused"),
    pytest.param(breaks(httpx.RemoteProtocolError("reset")), False, id="reset"),
    # Not an error of httpx: it must count as an attempt all the same, or the delivery would go on for ever.
    pytest.param(breaks(UnicodeError("label too long")), False, id="host name that cannot be encoded"),
]


@pytest.mark.parametrize(("answer", "is_over"), ANSWERS)
def test_answer(answer: Answer, is_over: bool) -> None:
    office = Office(answer)
    office.go()
    assert len(office.posted) == 1, "no redirect is followed"
    assert office.is_over() == is_over
    office.go()
    assert len(office.posted) == 1, "a doorbell for what is over or not yet due posts nothing"


def test_every_attempt_is_signed_under_the_same_id() -> None:
    office = Office(status(500))
    for _ in range(2):
        office.go()
        office.clock.now += 600
    office.answer = status(204)
    office.go()
    assert office.is_over()
    assert {request.headers["webhook-id"] for request in office.posted} == {office.delivery}
    for request in office.posted:
        assert (request.method, str(request.url)) == ("POST", URL)
        assert request.headers["content-type"] == "application/json"
        assert orjson.loads(request.content)["type"] == "extraction.completed"
        Webhook(SECRET).verify(request.content, dict(request.headers))
        assert Event.decode(request.content).job.state == "succeeded"
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(request.content + b" ", dict(request.headers))


def test_attempts_are_spent() -> None:
    office = Office(status(500))
    for _ in range(10):
        office.go()
        office.clock.now += 3600
    assert len(office.posted) == 3
    assert office.is_over()


def test_unknown_endpoint_is_tried_again_when_it_may_have_been_registered() -> None:
    office = Office(status(204), endpoint="other")
    with structlog.testing.capture_logs() as logs:
        office.go()
    assert office.posted == []
    assert not office.is_over()
    assert "SLUICE_ENDPOINTS" in logs[0]["reason"]


@dataclass
class Failing:
    """A ledger that gives the claim and then fails with an error."""

    claim: DeliveryClaim
    error: Exception

    def claim_delivery(self, delivery_id: str, worker: str) -> DeliveryClaim:
        return self.claim

    def delivered(self, claim: DeliveryClaim) -> None:
        raise self.error


# The error at the end, and what is said of it.
LATE = [
    pytest.param(Lost(), "delivery.lost", id="taken over"),
    pytest.param(Unavailable(), "delivery.unnoted", id="Redis is gone"),
]


@pytest.mark.parametrize(("error", "action"), LATE)
def test_delivery_that_cannot_be_settled(error: Exception, action: str) -> None:
    office = Office(status(204))
    claim = office.ledger.claim_delivery(office.delivery, "c")
    assert claim is not None
    with structlog.testing.capture_logs() as logs:
        office.go(Failing(claim, error))  # type: ignore[arg-type]
    assert [line["action"] for line in logs] == [action]


def test_neither_body_nor_secret_is_logged() -> None:
    with structlog.testing.capture_logs() as logs:
        for answer in (status(204), status(500), breaks(httpx.ReadTimeout(SECRET))):
            Office(answer).go()
    assert len(logs) == 3
    assert SECRET not in repr(logs)
    assert "document_id" not in repr(logs)


# The endpoint, its secret, and what is said of it.
UNFIT = [
    pytest.param({"url": "http://kb.example"}, SECRET, "plain http", id="plain http"),
    pytest.param({"url": URL}, None, "SLUICE_SECRET_KB", id="no secret"),
    pytest.param({"url": URL}, "hunter2", "whsec_", id="no mark"),
    pytest.param({"url": URL}, "whsec_?", "whsec_", id="not base64"),
    pytest.param({"url": URL}, "whsec_aHVudGVyMg==", "24 to 64 bytes", id="too short"),
]


@pytest.mark.parametrize(("endpoint", "secret", "said"), UNFIT)
def test_endpoint_that_cannot_be_served_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, endpoint: dict[str, str], secret: str | None, said: str
) -> None:
    monkeypatch.setenv("SLUICE_ENDPOINTS", orjson.dumps({"kb": endpoint}).decode())
    if secret:
        monkeypatch.setenv("SLUICE_SECRET_KB", secret)
    with pytest.raises(Misconfigured, match=said) as refused:
        destinations(Settings.read())
    assert secret is None or secret not in str(refused.value)


def test_registered_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_ENDPOINTS", orjson.dumps({"kb-1": {"url": URL}}).decode())
    monkeypatch.setenv("SLUICE_SECRET_KB_1", SECRET)
    assert destinations(Settings.read()) == {"kb-1": Destination(URL, SecretStr(SECRET))}
