"""The client on a real Redis: the same promises, and what only a real Redis can do to them."""

import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest
from redis import Redis
from redis_server import RedisServer
from stand_in_worker import stand_in_worker

from sluice_producer import Conflict, Full, Job, JobFailed, NotFound, Sluice, StillRunning, Unavailable
from sluice_schemas.extraction import Extraction
from sluice_schemas.ledger import connect
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_worker.ledger import RedisLedger as WorkerLedger

NEWS = "news/entities-en@1"


@pytest.fixture
def client(redis: Redis, redis_url: str) -> Iterator[Sluice]:
    with Sluice(redis_url) as client:
        yield client


def test_a_document_becomes_a_result(client: Sluice, redis_url: str) -> None:
    with stand_in_worker(redis_url):
        job = client.submit("Anna works in Kyiv.", schema=NEWS)
        found = client.result(job.id, timeout_s=10)
    assert (found.job_id, client.job(job.id).state) == (job.id, "succeeded")


def test_a_stream_goes_through_a_small_window_and_a_small_backlog(client: Sluice, redis_url: str) -> None:
    with stand_in_worker(redis_url):
        texts = [f"text {n}" for n in range(60)] + [""]
        jobs = [job for _, job in client.submit_many(texts, schema=NEWS, window=8)]
        ids = [job.id for job in jobs if isinstance(job, Job)]
        found = dict(client.results(ids, timeout_s=10))
    assert (len(jobs), len(ids)) == (61, 60)
    assert all(isinstance(each, Extraction) for each in found.values())
    assert found.keys() == set(ids)


def test_how_jobs_end_otherwise(client: Sluice, redis_url: str) -> None:
    ledger = WorkerLedger(connect(redis_url))
    dead, cancelled, slow = (client.submit(f"text {n}", schema=NEWS).id for n in range(3))
    claim = ledger.claim("w")
    assert claim is not None
    ledger.fail(claim, "the model fell over", verdict="dead")
    assert client.cancel(cancelled).state == "cancelled"
    with pytest.raises(JobFailed, match="is dead: the model fell over"):
        client.result(dead)
    with pytest.raises(JobFailed, match="is cancelled"):
        client.result(cancelled)
    with pytest.raises(StillRunning):
        client.result(slow, timeout_s=0.1)
    with pytest.raises(NotFound):
        client.result("0" * 32)


def test_keys_and_schemas_hold_for_all_producers(client: Sluice, redis_url: str) -> None:
    own = ExtractionSchema(id="house/own", version=1, task="NER", language="en", types=(Type(name="person"),))
    client.publish(own)
    with Sluice(redis_url) as other:
        assert other.schema("house/own@1") == own
        job = other.submit("one", schema="house/own@1", key="k")
        with pytest.raises(Conflict):
            other.submit("two", schema="house/own@1", key="k")
    assert client.submit("one", schema="house/own@1", key="k").id == job.id


def test_redis_down_at_submit(own_redis: RedisServer) -> None:
    with Sluice(own_redis.url, retry_s=0.3) as client:
        client.submit("one", schema=NEWS)
        own_redis.kill()
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"not accepted.*key='k' it is one job"):
            client.submit("two", schema=NEWS, key="k")
        assert time.monotonic() - began < 3


def test_redis_comes_back_while_a_submit_tries_again(own_redis: RedisServer) -> None:
    with Sluice(own_redis.url, retry_s=10) as client:
        client.submit("one", schema=NEWS)
        own_redis.kill()
        threading.Timer(0.3, own_redis.start).start()
        assert client.submit("two", schema=NEWS).state == "queued"


def test_redis_full(own_redis: RedisServer) -> None:
    with Redis.from_url(own_redis.url) as redis, Sluice(own_redis.url) as client:
        first = client.submit("one", schema=NEWS)
        redis.config_set("maxmemory", 1)
        with pytest.raises(Full, match="out of memory; nothing was accepted"):
            client.submit("two", schema=NEWS)
        assert client.job(first.id).state == "queued"


def test_many_threads_share_a_client(client: Sluice) -> None:
    made: list[str] = []
    numbers = count()

    def submit() -> None:
        for _ in range(20):
            made.append(client.submit(f"text {next(numbers)}", schema=NEWS).id)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 160
