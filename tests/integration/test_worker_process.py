"""`sluice worker` as ops run it: a process of its own, fed, misfed, stopped and killed."""

import base64
import pickle
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from celery import Celery
from chaos.proxy import Proxy
from ledger_stage import order
from redis import Redis
from redis_server import WHEEL, RedisServer
from sluice_processes import started, until
from worker_site import NEWS, SENTENCE, Site

from sluice_producer.ledger import RedisLedger as ProducerLedger
from sluice_schemas.ledger import connect
from sluice_schemas.queues import EXTRACT_QUEUE, JOB_BELL, CeleryDoorbell, broker_options, message
from sluice_worker.process.station import Exit

pytestmark = pytest.mark.timeout(300)

LONG = SENTENCE * 1500
QUEUE = f"sluice:{EXTRACT_QUEUE}"


@pytest.fixture
def site(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(redis_url, tmp_path)
    yield site
    site.client.close()


def malformed() -> list[bytes]:
    """What a wrong program, or a bad one, might push onto our queue."""
    task, headers = message("sluice.extract", "x")
    body = orjson.dumps({"body": "e30=", "properties": {"delivery_tag": "t", "delivery_info": {}}, "headers": headers})
    envelope: dict[str, Any] = {
        "content-encoding": "binary",
        "content-type": "application/x-python-serialize",
        "headers": {**headers, "lang": "py"},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "delivery_mode": 2,
            "delivery_tag": "a",
            "priority": 0,
        },
    }
    pickled = {**envelope, "body": base64.b64encode(pickle.dumps(task)).decode()}
    unknown = {**envelope, "content-type": "application/json", "content-encoding": "utf-8"}
    unknown |= {"headers": {**headers, "task": "os.system"}, "body": base64.b64encode(orjson.dumps(task)).decode()}
    odd = unknown | {"headers": headers, "body": base64.b64encode(orjson.dumps([[{"a": 1}, 2], {}, {}])).decode()}
    # More than a worker takes at once: each is taken already when it turns out that it names no task.
    nameless = [
        odd
        | {
            "headers": {**headers, "task": ["x"]},
            "properties": {**envelope["properties"], "delivery_tag": f"n{number}"},
        }
        for number in range(200)
    ]
    decimal = b'{"__type__": "decimal", "__value__": "x"}'
    raw = [b"", b"garbage", b"\xff\xfe\x00", b"[]", b"{}", b'"x"', b"[" * 100_000, decimal, body]
    return [*raw, *map(orjson.dumps, (pickled, unknown, odd, *nameless))]


def test_documents_among_rubbish_and_a_flood_of_repeated_bells(site: Site, redis: Redis) -> None:
    with site.worker() as worker:
        worker.await_ready()
        redis.lpush(QUEUE, *malformed())
        first = site.submit()
        site.succeeds(first)
        doorbell = CeleryDoorbell(site.url)
        for _ in range(500):
            doorbell.ring(*JOB_BELL)
        jobs = [site.submit(f"{SENTENCE} {n}") for n in range(5)]
        # The client refuses an unknown schema itself.
        bad = ProducerLedger(connect(site.url)).accept(order(schema_ref="no/such@1")).id
        doorbell.ring(*JOB_BELL)
        site.succeeds(*jobs)
        until(lambda: site.job(bad).has_ended)
        assert (site.state(bad), site.job(bad).attempts) == ("dead", 1)
        assert site.ledger.counts().ended == {"succeeded": 6, "dead": 1}
        until(lambda: redis.llen(QUEUE) == 0)
        until(lambda: redis.hlen("sluice:unacked.extract") == 0)
        doorbell.close()
        assert worker.stop() == Exit.DONE
        said = worker.said()
        assert "Lovelace" not in said
        assert said.count("doorbell.malformed") >= 6


def test_celerys_remote_control_reaches_nobody(site: Site) -> None:
    with site.worker() as worker, Celery("stranger", broker=site.url, set_as_current=False) as stranger:
        worker.await_ready()
        stranger.conf.broker_transport_options = broker_options("extract")
        assert stranger.control.ping(timeout=2) == []
        stranger.control.shutdown()
        site.succeeds(site.submit())
        assert worker.stop() == Exit.DONE


def test_sigterm_lets_a_document_finish(site: Site) -> None:
    with site.worker(grace_s="60") as worker:
        worker.await_ready()
        job_id = site.submit(SENTENCE * 8)
        until(lambda: site.state(job_id) == "running")
        assert worker.stop() == Exit.DONE
        assert site.state(job_id) == "succeeded"
        waiting = site.submit("Nobody takes this one.")
        assert site.state(waiting) == "queued"


def test_sigterm_gives_back_what_takes_longer_than_the_grace(site: Site) -> None:
    with site.worker(grace_s="0.5") as worker:
        worker.await_ready()
        job_id = site.submit(LONG)
        until(lambda: site.state(job_id) == "running")
        started_at = time.monotonic()
        assert worker.stop() == Exit.GRACE_OVER
        assert time.monotonic() - started_at < 20
        job = site.job(job_id)
        assert (job.state, job.attempts) == ("queued", 0)
        assert (again := site.ledger.claim("another")) is not None, "at once"
        assert not again.is_suspect


def test_killed_worker_is_replaced(site: Site) -> None:
    with site.worker(lease_s="2", sweep_every_s="0.3") as first:
        first.await_ready()
        job_id = site.submit(SENTENCE * 30)
        until(lambda: site.state(job_id) == "running")
        first.process.kill()
        first.process.wait()
    with site.worker(lease_s="2", sweep_every_s="0.3") as second:
        second.await_ready()
        site.succeeds(job_id)
        assert site.job(job_id).attempts == 2
        assert "sweep.took_back" in second.said()
        assert second.stop() == Exit.DONE


def test_work_goes_on_after_redis_was_away(own_redis: RedisServer, tmp_path: Path) -> None:
    site = Site(own_redis.url, tmp_path)
    with site.worker(sweep_every_s="0.3") as worker:
        worker.await_ready()
        site.succeeds(site.submit())
        own_redis.kill()
        time.sleep(1)
        own_redis.start()
        site.succeeds(site.submit("Alan Turing worked in Manchester."))
        assert worker.stop() == Exit.DONE
    site.client.close()


def test_connections_that_are_half_open_are_noticed(tmp_path: Path) -> None:
    server = RedisServer(str(WHEEL), tmp_path)
    server.start()
    proxy = Proxy(urlsplit(server.url).port or 0)
    site = Site(server.url, tmp_path)
    with site.worker(redis_url=f"redis://127.0.0.1:{proxy.port}/0") as worker:
        worker.await_ready()
        site.succeeds(site.submit())
        proxy.swallow()
        site.succeeds(site.submit("Alan Turing worked in Manchester."))
        assert worker.stop() == Exit.DONE
    site.client.close()
    proxy.close()
    server.kill()


def test_a_full_redis_is_worked_off_though_it_takes_no_doorbell(own_redis: RedisServer, tmp_path: Path) -> None:
    site = Site(own_redis.url, tmp_path)
    with site.worker(sweep_every_s="0.3") as worker, Redis.from_url(own_redis.url) as redis:
        worker.await_ready()
        site.succeeds(site.submit())
        accept = ProducerLedger(connect(own_redis.url)).accept
        waiting = [accept(order(key=str(n), schema_ref=NEWS)).id for n in range(3)]
        redis.config_set("maxmemory", 1)
        site.succeeds(*waiting)
        assert "work.unbidden" in worker.said()
        redis.config_set("maxmemory", 0)
        site.succeeds(site.submit("Alan Turing worked in Manchester."))
        assert worker.stop() == Exit.DONE
    site.client.close()


# A wrong setting, and what is said of it.
UNFIT = [
    pytest.param({"model": "/no/such/folder"}, "/no/such/folder", id="no model folder"),
    pytest.param({"dtype": "float16"}, "dtype", id="fp16"),
    pytest.param({"lease": "5"}, "No such setting: SLUICE_LEASE", id="unknown setting"),
    pytest.param({"threads": "0"}, "threads", id="no threads"),
    pytest.param({"redis_url": "redis+cluster://127.0.0.1:6379"}, "Cluster", id="cluster"),
    pytest.param({"redis_url": "redis://127.0.0.1:port"}, "cannot be read", id="no URL"),
]


@pytest.mark.parametrize(("settings", "said"), UNFIT)
def test_wrong_setting_is_refused_for_good(site: Site, settings: dict[str, str], said: str) -> None:
    with site.worker(**settings) as worker:
        assert worker.process.wait(60) == Exit.MISCONFIGURED
        assert said in worker.said()
        assert worker.said().startswith("error: ")
        assert worker.said().count("\n") == 1, "one line, no traceback"


def test_redis_that_would_lose_documents_is_refused(own_redis: RedisServer, tmp_path: Path) -> None:
    site = Site(own_redis.url, tmp_path)
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        redis.config_set("appendonly", "no")
    for role in ("worker", "deliver"):
        with started(tmp_path, role, redis_url=own_redis.url) as process:
            assert process.process.wait(60) == Exit.MISCONFIGURED
            assert process.said() == (
                "error: redis eviction is allkeys-lru. Set `maxmemory-policy noeviction`: others drop jobs. "
                "redis append-only is no. Set `appendonly yes`: a restart loses jobs.\n"
            )
    site.client.close()


def test_redis_that_is_away_may_come_back(own_redis: RedisServer, tmp_path: Path) -> None:
    own_redis.kill()
    with started(tmp_path, "worker", redis_url=own_redis.url) as worker:
        assert worker.process.wait(60) == Exit.FAILED
        assert worker.said().startswith("error: Redis does not answer: ")
        assert ".." not in worker.said()


def test_interrupt_from_the_terminal_is_answered_like_sigterm(site: Site) -> None:
    with site.worker() as worker:
        worker.await_ready()
        assert worker.stop(signal.SIGINT) == Exit.DONE
