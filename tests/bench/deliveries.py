"""Deliveries: how many a second to one endpoint, and what dead ones cost the others.

`PYTHONPATH=tests python -m bench.deliveries`. A real Redis, one `sluice deliver`, receivers in a process of their own.
Dead endpoints take connections and never answer.
"""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import click
import sluice_processes
from bench import queue_report
from bench.queue_stage import BOUND, redis_server, seconds, surroundings, until_quickly
from delivery_stage import SECRET
from ledger_stage import endpoint, extraction, order
from pydantic import SecretStr
from rich.table import Table

from sluice_producer.ledger import RedisLedger as Producer
from sluice_schemas.ledger import connect
from sluice_schemas.queues import DELIVERY_BELL, CeleryDoorbell
from sluice_worker.delivery import courier, signing
from sluice_worker.delivery.outbound import make_client
from sluice_worker.delivery.parcel import pack
from sluice_worker.ledger import RedisLedger, RedisOutbox

LOOPBACK = (ip_network("127.0.0.0/8"),)
ENDPOINTS, DEAD = 50, 10
RATE = 40.0
FAST = "fast"


class Site:
    """A Redis with an outbox, and receivers."""

    def __init__(self, url: str, port: int, log: Path) -> None:
        self.url, self.base, self.log = url, f"http://127.0.0.1:{port}", log
        self.redis = connect(url)
        self.producer, self.ledger, self.outbox = Producer(self.redis), RedisLedger(self.redis), RedisOutbox(self.redis)

    def register(self, name: str, path: str, **about: Any) -> None:
        wanted = endpoint(name, url=f"{self.base}{path}", allow_http=True, **about)
        self.outbox.add_endpoint(wanted, replace=True)

    def commit(self, key: str, name: str) -> str:
        """A job that has succeeded, and whose webhook waits; its id."""
        job = self.producer.accept(order(key=key, text=f"Anna works in town {key}.", endpoints=(name,)))
        claim = self.ledger.claim("w")
        assert claim is not None
        self.ledger.commit(claim, extraction(claim))
        return job.id

    def arrivals(self) -> list[tuple[str, str, float]]:
        lines = (line.split() for line in self.log.read_text().splitlines())
        return [(path, each, float(at)) for path, each, at in lines]


@contextmanager
def site() -> Iterator[Site]:
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-")))
        url = open_.enter_context(redis_server(folder))(0)
        port_file, log = folder / "port", folder / "arrivals"
        receiver = (*BOUND, sys.executable, "-m", "bench.delivery_receiver", str(port_file), str(log))
        open_.enter_context(_process(receiver))
        until_quickly(lambda: port_file.exists() and bool(port_file.read_text()))
        yield Site(url, int(port_file.read_text()), log)


@contextmanager
def _process(command: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=surroundings())
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def deliverer(on: Site, folder: Path) -> Iterator[None]:
    secrets = {f"secret_{name}": SECRET for name in (FAST, *(f"e{number}" for number in range(ENDPOINTS)))}
    settings = {"redis_url": on.url, "delivery_networks": '["127.0.0.0/8"]', "grace_s": "0", **secrets}
    with sluice_processes.started(folder, "deliver", **settings) as process:
        process.await_ready()
        yield


def fast(count: int, batch: int) -> dict[str, float]:
    """Deliveries a second to one endpoint that answers at once, beside plain posts of the same bodies."""
    with site() as on, tempfile.TemporaryDirectory() as folder:
        on.register(FAST, "/fast", batch=batch, concurrency=8)
        on.outbox.pause_endpoint(FAST)
        for number in range(count):
            on.commit(str(number), FAST)
        with deliverer(on, Path(folder)):
            on.outbox.resume_endpoint(FAST)
            until_quickly(lambda: on.outbox.endpoint(FAST).delivered >= count)
        times = sorted(at for _, _, at in on.arrivals())
        delivered_per_s = (count - 1) / (times[-1] - times[0])
        return {"delivered_per_s": delivered_per_s, "plain_per_s": _plain(on, count // 4)}


def _plain(on: Site, count: int) -> float:
    """Such a body signed and posted again and again from eight threads, without an outbox."""
    on.register("plain", "/plain")
    on.commit("plain", "plain")
    given = on.outbox.claim_deliveries("bench")
    assert given is not None
    with make_client(timeout_s=15.0, networks=LOOPBACK) as client, ThreadPoolExecutor(8) as pool:

        def post(_: int) -> None:
            parcel = pack(given, None)
            signed = signing.headers(parcel.id, parcel.body, [SecretStr(SECRET)])
            assert courier.send(client, given.endpoint, parcel, signed).result == "delivered"

        return count / seconds(lambda: [*pool.map(post, range(count))])


def crowd(*, dead: int, over_s: float) -> dict[str, float]:
    """Webhooks for 50 endpoints at random, RATE a second; how long those for endpoints that live were under way."""
    with site() as on, tempfile.TemporaryDirectory() as folder:
        for number in range(ENDPOINTS):
            on.register(f"e{number}", f"/dead/{number}" if number < dead else f"/e{number}")
        chance, made_at = random.Random(1), dict[str, float]()
        with deliverer(on, Path(folder)), closing(CeleryDoorbell(on.url)) as doorbell:
            began = time.monotonic()
            for number in range(int(RATE * over_s)):
                time.sleep(max(0.0, began + number / RATE - time.monotonic()))
                name = f"e{chance.randrange(ENDPOINTS)}"
                made_at.setdefault(on.commit(str(number), name), time.time())
                doorbell.ring(*DELIVERY_BELL)
            time.sleep(2.0)
        arrived = {job: at for _, job, at in on.arrivals()}
        lags = sorted((arrived[job] - at) * 1000 for job, at in made_at.items() if job in arrived)
        living = sum(on.outbox.endpoint(f"e{number}").waiting for number in range(dead, ENDPOINTS))
        return {
            "dead": dead,
            "arrived": len(lags),
            "living_that_wait": living,
            "p50_ms": statistics.median(lags),
            "p95_ms": lags[int(0.95 * (len(lags) - 1))],
            "most_ms": lags[-1],
        }


def measure(rounds: int, count: int, over_s: float) -> dict[str, Any]:
    """Medians over interleaved rounds."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for batch in (1, 20):
            found.setdefault(f"fast, {batch} a post", []).append(fast(count, batch))
        for dead in (0, DEAD):
            found.setdefault(f"{ENDPOINTS} endpoints, {dead} dead", []).append(crowd(dead=dead, over_s=over_s))
    return {
        name: {key: round(statistics.median(each[key] for each in runs), 1) for key in runs[0]}
        for name, runs in found.items()
    }


def tables(found: dict[str, Any]) -> list[Table]:
    quick = {name: each for name, each in found.items() if name.startswith("fast")}
    slow = {name: each for name, each in found.items() if name not in quick}
    return [
        queue_report.table(
            "Events a second to one endpoint that answers at once",
            ("", "delivered", "plain posts", "ratio"),
            [
                (name, f"{each['delivered_per_s']:.0f}", f"{each['plain_per_s']:.0f}",
                 f"{each['delivered_per_s'] / each['plain_per_s']:.2f}")
                for name, each in quick.items()
            ],
        ),
        queue_report.table(
            f"From commit to arrival at endpoints that live, {RATE:g} events a second",
            ("", "arrived", "p50 ms", "p95 ms", "longest ms"),
            [
                (name, *(f"{each[key]:.0f}" for key in ("arrived", "p50_ms", "p95_ms", "most_ms")))
                for name, each in slow.items()
            ],
        ),
    ]  # fmt: skip


@click.command()
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Medians are taken over these.")
@click.option("--count", type=click.IntRange(40), default=2000, show_default=True, help="Events to the fast endpoint.")
@click.option("--over", "over_s", type=float, default=30.0, show_default=True, help="Seconds of events to the crowd.")
@click.option("--json", "target", type=click.Path(path_type=Path), default=queue_report.TARGET, show_default=True)
def main(repeat: int, count: int, over_s: float, target: Path) -> None:
    """Measure deliveries to one fast endpoint, and to fifty of which ten are dead."""
    found = measure(repeat, count, over_s)
    queue_report.merge(target, "deliveries", found)
    queue_report.show(*tables(found))


if __name__ == "__main__":
    main()
