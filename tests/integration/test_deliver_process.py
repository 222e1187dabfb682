"""`sluice deliver` as ops run it: from the outbox to a receiver that is away at first."""

import base64
import socket
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from ledger_stage import extraction, order
from redis import Redis
from sluice_processes import started, until

from sluice_producer.ledger import RedisLedger as ProducerLedger
from sluice_schemas.ledger import connect
from sluice_schemas.queues import CeleryDoorbell, delivery_bell
from sluice_worker.demo.receiver import receiving
from sluice_worker.ledger import RedisLedger
from sluice_worker.process.station import Exit

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
QUICK = {"sweep_every_s": "0.2", "delivery_timeout_s": "2"}


class Outbox:
    """Results that wait to be delivered."""

    def __init__(self, url: str) -> None:
        self.producer, self.ledger = ProducerLedger(connect(url)), RedisLedger(connect(url))

    def fill(self, count: int) -> set[str]:
        """The ids of the deliveries. No doorbell is rung."""
        found: set[str] = set()
        for n in range(count):
            job = self.producer.accept(order(key=f"key {n}", text=f"Anna works in town {n}.", endpoints=("kb",)))
            claim = self.ledger.claim(job.id, "w")
            assert claim is not None
            found.update(self.ledger.commit(claim, extraction(claim)))
        return found

    def is_empty(self) -> bool:
        return self.ledger.counts().deliveries == 0


@pytest.fixture
def outbox(redis: Redis, redis_url: str) -> Outbox:
    return Outbox(redis_url)


def settings(url: str, receiver: str) -> dict[str, str]:
    endpoints = {"kb": {"url": receiver, "allow_http": True}}
    return {"redis_url": url, "endpoints": orjson.dumps(endpoints).decode(), "secret_kb": SECRET, **QUICK}


@pytest.fixture
def doorbell(redis_url: str) -> Iterator[CeleryDoorbell]:
    doorbell = CeleryDoorbell(redis_url)
    yield doorbell
    doorbell.close()


def test_every_event_arrives_once_whatever_is_rung(
    outbox: Outbox, doorbell: CeleryDoorbell, redis_url: str, tmp_path: Path
) -> None:
    with receiving(SECRET) as inbox, started(tmp_path, "deliver", **settings(redis_url, inbox.url)) as process:
        process.await_ready()
        posted = outbox.fill(40)
        for each in [*posted, *posted, "none"]:
            doorbell.ring(*delivery_bell(each))
        until(outbox.is_empty)
        assert inbox.events.keys() == posted
        assert inbox.refused == 0
        assert process.stop() == Exit.DONE
        assert "Anna" not in process.said()
        assert SECRET not in process.said()


def test_receiver_that_is_away_at_first(
    outbox: Outbox, doorbell: CeleryDoorbell, redis_url: str, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (posted,) = outbox.fill(1)
    url = f"http://127.0.0.1:{port}/events"
    with started(tmp_path, "deliver", **settings(redis_url, url)) as process:
        process.await_ready()
        doorbell.ring(*delivery_bell(posted))
        until(lambda: "delivery.retry" in process.said())
        assert not outbox.is_empty()
        with receiving(SECRET, port=port) as inbox:
            until(outbox.is_empty)
            assert inbox.events.keys() == {posted}
        assert process.stop() == Exit.DONE


def test_wrong_secret_is_refused_at_the_start(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    wrong = settings(redis_url, "http://127.0.0.1:1/") | {"secret_kb": "hunter2-hunter2"}
    with started(tmp_path, "deliver", **wrong) as process:
        assert process.process.wait(60) == Exit.MISCONFIGURED
        assert "whsec_" in process.said()
        assert "hunter2" not in process.said()
