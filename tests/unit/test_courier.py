"""What each answer of a receiver makes of a delivery, and what a post carries."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import structlog
from delivery_stage import OTHER, SECRET, Office
from ledger_stage import endpoint, extraction
from standardwebhooks import Webhook, WebhookVerificationError

from sluice_schemas.errors import Misconfigured, SluiceError, Unavailable
from sluice_schemas.event import Event, EventBatch, Notice, read
from sluice_schemas.extraction import Mention
from sluice_schemas.ledger import Consignment, Receipt
from sluice_schemas.links import Links
from sluice_worker.delivery.signing import Secrets

URL = "https://kb.example/events"
Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class Receiver:
    """Plays the receiver, and keeps what was posted to it."""

    answer: Answer
    posted: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.posted.append(request)
        return self.answer(request)

    @property
    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.posted]


def run(office: Office, answer: Answer | Receiver, **options: Any) -> Receiver:
    """One post, if one may be made."""
    receiver = answer if isinstance(answer, Receiver) else Receiver(answer)
    with httpx.Client(transport=httpx.MockTransport(receiver)) as client:
        office.courier(client, **options).post_next()
    return receiver


def status(code: int, **headers: str) -> Answer:
    headers = {"location": "https://evil.example/", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return lambda request: httpx.Response(code, headers=headers)


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
    office = Office()
    receiver = run(office, answer)
    assert len(receiver.posted) == 1, "no redirect is followed"
    assert office.is_over() == is_over
    run(office, receiver)
    assert len(receiver.posted) == 1, "a doorbell for what is over or not yet due posts nothing"


def test_every_attempt_is_signed_under_the_same_id() -> None:
    office, receiver = Office(), Receiver(status(500))
    for _ in range(2):
        run(office, receiver)
        office.later()
    receiver.answer = status(204)
    run(office, receiver)
    assert office.is_over()
    assert len({*receiver.ids}) == 1
    assert len(receiver.posted) == 3
    for request in receiver.posted:
        assert (request.method, str(request.url)) == ("POST", URL)
        assert request.headers["content-type"] == "application/json"
        Webhook(SECRET).verify(request.content, dict(request.headers))
        assert Event.decode(request.content).job.state == "succeeded"
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(request.content + b" ", dict(request.headers))


def test_while_a_secret_is_changed_the_old_and_the_new_one_verify() -> None:
    office = Office()
    office.secrets["SLUICE_SECRET_KB"] = f"{OTHER} {SECRET}"
    (request,) = run(office, status(204)).posted
    for secret in (OTHER, SECRET):
        Webhook(secret).verify(request.content, dict(request.headers))


def test_attempts_are_spent() -> None:
    office, receiver = Office(), Receiver(status(500))
    for _ in range(4):
        run(office, receiver)
        office.later()
    assert len(receiver.posted) == 3
    assert office.is_over()
    (failed,) = office.stage.outbox.failed_deliveries()
    assert (failed.reason, failed.attempts) == ("The receiver answered 500.", 3)


def test_gone_disables_the_endpoint() -> None:
    office = Office(jobs=2)
    run(office, status(410))
    assert office.stage.outbox.endpoint("kb").state == "disabled"
    assert run(office, status(204)).posted == []


@pytest.mark.parametrize("code", [429, 503])
def test_who_asks_to_be_left_alone_is(code: int) -> None:
    office = Office(jobs=2)
    run(office, status(code, retry_after="90"))
    assert run(office, status(204)).posted == []
    office.clock.now += 91
    assert len(run(office, status(204)).posted) == 1


def test_retry_after_of_any_other_answer_is_not_heeded() -> None:
    office = Office(jobs=2)
    run(office, status(500, retry_after="90"))
    assert len(run(office, status(204)).posted) == 1


def test_an_event_brings_its_facts_as_json_ld_unless_its_endpoint_wants_none() -> None:
    whole = Event.decode(run(Office(), status(204)).posted[0].content)
    assert whole.linked_data is not None
    assert whole == whole.linked(), "what is said is the same"
    bare = Event.decode(run(Office(linked_data=False), status(204)).posted[0].content)
    assert bare == whole.model_copy(update={"linked_data": None, "job": bare.job, "extraction": bare.extraction})


def test_a_batch_carries_events_under_their_own_ids() -> None:
    office, receiver = Office(jobs=5, batch=3), Receiver(status(500))
    run(office, receiver)
    assert office.rung == 1, "another bell for the rest"
    run(office, receiver)
    office.later()
    receiver.answer = status(204)
    run(office, receiver)
    batches = [read(each.content) for each in receiver.posted]
    first, second, again = (each for each in batches if isinstance(each, EventBatch))
    assert (len(first.events), len(second.events)) == (3, 2)
    assert first == again
    assert receiver.ids[0] == receiver.ids[2] != receiver.ids[1]
    assert len({each.id for each in first.events + second.events}) == 5
    Webhook(SECRET).verify(receiver.posted[0].content, dict(receiver.posted[0].headers))


def test_one_doorbell_is_worked_off_to_the_end_and_others_are_rung_to_help() -> None:
    office, receiver = Office(jobs=5), Receiver(status(204))
    with httpx.Client(transport=httpx.MockTransport(receiver)) as client:
        office.courier(client).run()
    assert len(receiver.posted) == 5
    assert office.rung == 4
    assert office.is_over()


def test_a_thread_comes_back_from_an_endless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice_worker.delivery.courier.TURN_S", -1.0)
    office, receiver = Office(jobs=5), Receiver(status(204))
    with httpx.Client(transport=httpx.MockTransport(receiver)) as client:
        office.courier(client).run()
    assert len(receiver.posted) == 1
    assert office.rung == 2, "one to help, and one for itself"


def large(office: Office) -> None:
    claim = office.stage.claimed(key="large", endpoints=("kb",))
    found = tuple(Mention(text="x" * 1000, type="person") for _ in range(30))
    office.stage.worker.commit(claim, extraction(claim).model_copy(update={"entities": found}))


def test_what_is_large_goes_as_a_link_where_there_is_a_gateway() -> None:
    office, links = Office(jobs=0), Links("https://sluice.example/", b"k" * 32)
    large(office)
    thin = Event.decode(run(office, status(204), make_link=links.to).posted[0].content)
    assert (thin.extraction, thin.linked_data) == (None, None)
    assert thin.link is not None
    assert thin.link.url.startswith(f"https://sluice.example/v1/events/{thin.job.id}?expires=")
    office = Office(jobs=1)
    small = run(office, status(204), make_link=links.to).posted[0]
    assert Event.decode(small.content).extraction is not None
    office = Office(jobs=0)
    large(office)
    assert Event.decode(run(office, status(204)).posted[0].content).extraction is not None


def test_word_of_a_disabled_endpoint_is_posted_as_it_is() -> None:
    office = Office()
    office.stage.outbox.add_endpoint(endpoint("ops", events=("endpoint.disabled",)))
    office.secrets["SLUICE_SECRET_OPS"] = OTHER
    run(office, status(410))
    (told,) = run(office, status(204)).posted
    Webhook(OTHER).verify(told.content, dict(told.headers))
    assert isinstance(notice := read(told.content), Notice)
    assert notice.reason == "The receiver answered 410."


def test_an_endpoint_without_a_secret_keeps_its_deliveries_and_says_what_to_set() -> None:
    office = Office()
    office.secrets.clear()
    with structlog.testing.capture_logs() as logs:
        assert run(office, status(204)).posted == []
    assert not office.is_over()
    assert "Set SLUICE_SECRET_KB" in logs[0]["reason"]


@dataclass
class Failing:
    """An outbox that gives something to post and then does not answer, or answers that it was taken over."""

    consignment: Consignment
    answer: tuple[str, ...] | SluiceError

    def claim_deliveries(self, worker: str) -> Consignment:
        return self.consignment

    def settle_deliveries(self, consignment: Consignment, receipt: Receipt, **_: Any) -> tuple[str, ...]:
        if isinstance(self.answer, SluiceError):
            raise self.answer
        return self.answer


# What comes at the end, and what is said of it.
LATE: list[Any] = [
    pytest.param(("msg_1",), "delivery.lost", id="taken over"),
    pytest.param(Unavailable(), "delivery.unnoted", id="Redis is gone"),
]


@pytest.mark.parametrize(("answer", "action"), LATE)
def test_delivery_that_cannot_be_settled(answer: Any, action: str) -> None:
    office = Office()
    failing = Failing(office.stage.consignment(), answer)
    with structlog.testing.capture_logs() as logs:
        run(office, status(204), outbox=failing)
    assert logs[-1]["action"] == action


def test_neither_body_nor_secret_is_logged() -> None:
    with structlog.testing.capture_logs() as logs:
        for answer in (status(204), status(500), breaks(httpx.ReadTimeout(SECRET))):
            run(Office(), answer)
    assert len(logs) == 3
    assert SECRET not in repr(logs)
    assert "document_id" not in repr(logs)


# A secret, and what is said of it.
UNFIT = [
    pytest.param("", "Set SLUICE_SECRET_MY_KB to", id="none"),
    pytest.param("hunter2", "whsec_", id="no mark"),
    pytest.param("whsec_?", "whsec_", id="not base64"),
    pytest.param("whsec_aHVudGVyMg==", "24 to 64 bytes", id="too short"),
    pytest.param(f"{SECRET} hunter2", "Each secret in SLUICE_SECRET_MY_KB", id="one of two"),
]


@pytest.mark.parametrize(("secret", "said"), UNFIT)
def test_secret_that_cannot_sign_is_refused(secret: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as refused:
        Secrets({"SLUICE_SECRET_MY_KB": secret}).of("my-kb")
    assert "hunter2" not in str(refused.value)
