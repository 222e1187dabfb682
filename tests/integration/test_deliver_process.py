"""`sluice deliver` as ops run it: from the outbox to a receiver that is away at first."""

import base64
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_stage import endpoint, extraction, order
from redis import Redis
from sluice_processes import started, until
from webhook_inbox import Inbox, receiving

from sluice_producer.ledger import RedisLedger as ProducerLedger
from sluice_schemas.ledger import connect
from sluice_schemas.queues import DELIVERY_BELL, CeleryDoorbell
from sluice_worker.ledger import RedisLedger, RedisOutbox
from sluice_worker.process.station import Exit

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
QUICK = {
    "sweep_every_s": "0.2",
    "delivery_timeout_s": "2",
    "delivery_networks": '["127.0.0.0/8"]',
    "delivery_schedule_s": "[1, 1, 1, 1]",
}


class Outbox:
    """Results that wait to be delivered."""

    def __init__(self, url: str) -> None:
        self.producer, self.ledger = ProducerLedger(connect(url)), RedisLedger(connect(url))
        self.rows = RedisOutbox(connect(url))

    def fill(self, count: int, *, to: str, name: str = "kb", **about: Any) -> set[str]:
        """The ids of the jobs whose results wait for an endpoint. No doorbell is rung."""
        self.rows.add_endpoint(endpoint(name, url=to, allow_http=True, **about), replace=True)
        found: set[str] = set()
        for n in range(count):
            self.producer.accept(order(key=f"{name} {n}", text=f"Anna works in town {n}.", endpoints=(name,)))
            claim = self.ledger.claim("w")
            assert claim is not None
            self.ledger.commit(claim, extraction(claim))
            found.add(claim.job_id)
        return found

    def is_empty(self) -> bool:
        return self.ledger.counts().deliveries == 0


@pytest.fixture
def outbox(redis: Redis, redis_url: str) -> Outbox:
    return Outbox(redis_url)


def settings(url: str) -> dict[str, str]:
    return {"redis_url": url, "secret_kb": SECRET, "secret_silent": SECRET, **QUICK}


def jobs(inbox: Inbox) -> set[str]:
    return {event.job.id for event in inbox.events.values()}


@pytest.fixture
def doorbell(redis_url: str) -> Iterator[CeleryDoorbell]:
    doorbell = CeleryDoorbell(redis_url)
    yield doorbell
    doorbell.close()


def test_every_event_arrives_once_whatever_is_rung(
    outbox: Outbox, doorbell: CeleryDoorbell, redis_url: str, tmp_path: Path
) -> None:
    with receiving(SECRET) as inbox, started(tmp_path, "deliver", **settings(redis_url)) as process:
        process.await_ready()
        posted = outbox.fill(40, to=inbox.url)
        for _ in range(90):
            doorbell.ring(*DELIVERY_BELL)
        until(outbox.is_empty)
        assert jobs(inbox) == posted
        assert len(inbox.events) == 40
        assert inbox.refused == 0
        assert process.stop() == Exit.DONE
        assert "Anna" not in process.said()
        assert SECRET not in process.said()


def test_a_long_line_is_worked_off_without_a_bell_for_each(outbox: Outbox, redis_url: str, tmp_path: Path) -> None:
    with receiving(SECRET) as inbox:
        posted = outbox.fill(60, to=inbox.url)
        with started(tmp_path, "deliver", **settings(redis_url) | {"sweep_every_s": "2"}) as process:
            process.await_ready()
            until(outbox.is_empty)
            assert jobs(inbox) == posted
            assert process.stop() == Exit.DONE


def test_endpoints_that_hang_do_not_keep_others_from_theirs(outbox: Outbox, redis_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, receiving(SECRET) as inbox:
        outbox.fill(40, to=f"http://127.0.0.1:{silent.getsockname()[1]}/", name="silent")
        posted = outbox.fill(40, to=inbox.url)
        patient = settings(redis_url) | {"delivery_timeout_s": "60", "grace_s": "0.5"}
        with started(tmp_path, "deliver", **patient) as process:
            process.await_ready()
            until(lambda: jobs(inbox) == posted)
            assert outbox.rows.endpoint("silent").endpoint.concurrency == 4
            assert outbox.rows.endpoint("silent").waiting == 40
            process.stop()


def test_receiver_that_is_away_at_first(
    outbox: Outbox, doorbell: CeleryDoorbell, redis_url: str, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    posted = outbox.fill(1, to=f"http://127.0.0.1:{port}/events")
    with started(tmp_path, "deliver", **settings(redis_url)) as process:
        process.await_ready()
        doorbell.ring(*DELIVERY_BELL)
        until(lambda: "delivery.refused" in process.said())
        assert not outbox.is_empty()
        with receiving(SECRET, port=port) as inbox:
            until(outbox.is_empty)
            assert jobs(inbox) == posted
        assert process.stop() == Exit.DONE


def test_sigterm_gives_back_what_a_receiver_keeps_waiting(
    outbox: Outbox, doorbell: CeleryDoorbell, redis_url: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outbox.fill(1, to=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        patient = settings(redis_url) | {"delivery_timeout_s": "60", "grace_s": "0.5"}
        with started(tmp_path, "deliver", **patient) as process:
            process.await_ready()
            doorbell.ring(*DELIVERY_BELL)
            connection, _ = silent.accept()
            with connection:
                assert outbox.rows.claim_deliveries("another") is None, "it is being posted"
                assert process.stop() == Exit.GRACE_OVER
        again = outbox.rows.claim_deliveries("another")
        assert again is not None, "at once"
        assert again.claims[0].attempt == 1, "nobody knows whether it was tried"


def test_an_endpoint_without_a_secret_is_named_and_keeps_nobody_else(
    outbox: Outbox, redis_url: str, tmp_path: Path
) -> None:
    with receiving(SECRET) as inbox:
        outbox.fill(1, to=inbox.url, name="other")
        posted = outbox.fill(1, to=inbox.url)
        with started(tmp_path, "deliver", **settings(redis_url), secret_other="hunter2-hunter2") as process:
            process.await_ready()
            until(lambda: jobs(inbox) == posted)
            assert "SLUICE_SECRET_OTHER" in process.said()
            assert "hunter2" not in process.said()
            assert process.stop() == Exit.DONE
