"""What a run stands on: a Redis behind a proxy, a receiver, a fleet, and a producer that goes on submitting."""

import base64
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from chaos.fleet import Fleet
from chaos.judge import Evidence, Row
from chaos.proxy import Proxy
from chaos.receiver import Receiver
from chaos.worker import KILLS_ENGINE, KILLS_WORKER
from redis import Redis
from redis_server import WHEEL, RedisServer

from sluice_producer import Sluice
from sluice_schemas.endpoint import Endpoint
from sluice_schemas.errors import Retryable
from sluice_schemas.job import TERMINAL, Priority
from sluice_schemas.ledger.scripts import fields_of
from sluice_worker.ledger import RedisOutbox

SCHEMA = "news/entities-en@1"
SECRET = "whsec_" + base64.b64encode(b"chaos" * 6).decode()
LEASE_S = 3.0
SETTINGS = {
    "SLUICE_LEASE_S": str(LEASE_S),
    "SLUICE_SWEEP_EVERY_S": "0.5",
    "SLUICE_GRACE_S": "5",
    "SLUICE_DEAF_S": "10",
    "SLUICE_THREADS": "8",
    "SLUICE_DELIVERY_TIMEOUT_S": "2",
    "SLUICE_DELIVERY_SCHEDULE_S": str([1.0] * 100),
    "SLUICE_DELIVERY_BREAKER_S": "0.5",
    "SLUICE_SECRET_KB": SECRET,
}
DUPLICATES = 0.05
POISONED = 0.003
HURRIED = 0.05
"""Documents with a deadline that an outage may pass."""
HURRY_S = 1.0


@dataclass
class Stage:
    """All parts of one run. `deaths` of Redis, workers and others are made by the story."""

    folder: Path
    server: RedisServer
    redis: Any
    proxy: Proxy
    receiver: Receiver
    fleet: Fleet
    accepted: dict[str, str] = field(default_factory=dict)
    submitted: Counter[str] = field(default_factory=Counter)
    poisoned: set[str] = field(default_factory=set)

    def evidence(self, *, left_behind: list[str]) -> Evidence:
        rows = {}
        for key in self.redis.scan_iter("{sluice}:job:*", count=1000):
            fields = fields_of(self.redis.hgetall(key))
            job_id = key.decode().removeprefix("{sluice}:job:")
            rows[job_id] = Row(
                fields["state"].decode(),
                int(fields.get("fence", 0)),
                bool(self.redis.exists(f"{{sluice}}:result:{job_id}")),
                fields["document_id"].decode(),
            )
        worked: Counter[str] = Counter()
        for notes in self.folder.glob("engine-*.log"):
            worked.update(notes.read_text().split())
        return Evidence(
            accepted=[*self.accepted.values()],
            rows=rows,
            ended={state: int(count) for state, count in fields_of(self.redis.hgetall("{sluice}:ended")).items()},
            open_jobs=self.redis.zcard("{sluice}:open"),
            arrivals=[*self.receiver.arrivals],
            worked=worked,
            left_behind=left_behind,
        )

    def is_settled(self) -> bool:
        """Whether nothing is left to do: no open job, and no delivery that waits."""
        return not self.redis.zcard("{sluice}:open") and not self.redis.hlen("{sluice}:outbox")


@contextmanager
def stage(
    folder: Path, *, seed: int, workers: int = 3, defect: str = "", settings: Mapping[str, str] | None = None
) -> Iterator[Stage]:
    """Everything up and running, under SETTINGS unless `settings` say otherwise; stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as open_:
        server = RedisServer(str(WHEEL), folder, fsync="always")
        server.start()
        open_.callback(server.kill)
        proxy = Proxy(urlsplit(server.url).port or 0)
        open_.callback(proxy.close)
        receiver = Receiver(SECRET, seed=seed)
        open_.callback(receiver.close)
        environment = {
            **SETTINGS,
            **(settings or {}),
            "SLUICE_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0",
            "SLUICE_DELIVERY_NETWORKS": '["127.0.0.0/8"]',
            "CHAOS_DEFECT": defect,
        }
        fleet = Fleet(folder, environment, workers=workers, deliverers=2)
        open_.callback(fleet.sweep_away)
        redis = open_.enter_context(Redis.from_url(server.url))
        RedisOutbox(redis).add_endpoint(Endpoint(name="kb", url=receiver.url, allow_http=True))
        fleet.start()
        open_.callback(fleet.stop)
        yield Stage(folder, server, redis, proxy, receiver, fleet)


@contextmanager
def producing(on: Stage, *, seed: int, rate: float, poisoned: float = POISONED) -> Iterator[threading.Event]:
    """Submits documents at a rate until the block ends; one in twenty twice, the share `poisoned` poisonous.

    What fails for now is submitted again under its key, as a service would. The event ends it early.
    """
    over, chance = threading.Event(), random.Random(seed)

    def submit(client: Sluice, number: int) -> None:
        poison = ""
        if chance.random() < poisoned:
            poison = chance.choice((KILLS_WORKER, KILLS_ENGINE))
            on.poisoned.add(f"d{number:06}")
        name, text = f"d{number:06}", f"Document d{number:06}. Ada Lovelace was born in London. {poison}"
        hurried = chance.random() < HURRIED
        priority, tenant = chance.choice(get_args(Priority)), chance.choice("abc")
        for _ in range(2 if chance.random() < DUPLICATES else 1):
            while True:
                try:
                    job = client.submit(
                        text,
                        schema=SCHEMA,
                        id=name,
                        key=name,
                        endpoints=("kb",),
                        priority=priority,
                        tenant=tenant,
                        timeout_s=HURRY_S if hurried else None,
                    )
                    break
                except Retryable:
                    on.submitted["refused for now"] += 1
                    time.sleep(0.2)
            on.submitted["answered"] += 1
            assert on.accepted.setdefault(name, job.id) == job.id, "one key became two jobs"

    def produce() -> None:
        with Sluice(f"redis://127.0.0.1:{on.proxy.port}/0") as client:
            number = 0
            while not over.wait(1 / rate):
                number += 1
                submit(client, number)

    thread = threading.Thread(target=produce, name="producer", daemon=True)
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join(60)


def settle(on: Stage, *, timeout_s: float) -> float:
    """Waits until nothing is left to do, or the time is over; the seconds it took."""
    started = time.monotonic()
    while not on.is_settled() and time.monotonic() - started < timeout_s:
        time.sleep(0.1)
    return time.monotonic() - started


def states(seen: Evidence) -> dict[str, int]:
    """How many jobs ended how, and those that have not."""
    counted = Counter(row.state for row in seen.rows.values())
    return {state: counted[state] for state in (*sorted(TERMINAL), *(counted.keys() - TERMINAL))}
