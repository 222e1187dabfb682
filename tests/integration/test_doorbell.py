"""The doorbell against a real Celery worker: what kombu alone publishes, Celery 5.7 consumes."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from redis import Redis
from redis_server import RedisServer

from sluice_schemas.errors import Unavailable
from sluice_schemas.queues import (
    DELIVER_QUEUE,
    DELIVER_TASK,
    DELIVERY_BELL,
    EXTRACT_QUEUE,
    EXTRACT_TASK,
    JOB_BELL,
    Bell,
    CeleryDoorbell,
    SilentDoorbell,
    broker_options,
    queues_of,
)


@contextmanager
def extract_worker(url: str, heard: list[str]) -> Iterator[Celery]:
    """A Celery worker with threads that remembers what it was rung for."""
    app = Celery("test", broker=url, set_as_current=False)
    app.conf.update(
        task_queues=queues_of("extract"),
        broker_transport_options=broker_options("extract"),
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
    )

    @app.task(name=EXTRACT_TASK, shared=False)  # type: ignore[untyped-decorator]
    def extract(bell_id: str = "") -> None:
        heard.append(bell_id)

    with start_worker(app, pool="threads", concurrency=4, perform_ping_check=False, shutdown_timeout=30):
        yield app


def until(is_so: object, timeout_s: float = 60.0) -> None:
    ends = time.monotonic() + timeout_s
    assert callable(is_so)
    while not is_so():
        assert time.monotonic() < ends, "it did not come about in time"
        time.sleep(0.02)


def test_celery_answers_every_bell(redis: Redis, redis_url: str) -> None:
    doorbell, heard = CeleryDoorbell(redis_url), list[str]()
    assert doorbell.waiting(EXTRACT_QUEUE) == 0
    doorbell.ring(*JOB_BELL)
    assert doorbell.waiting(EXTRACT_QUEUE) == 1, "a bell waits for a worker that is not there yet"
    with extract_worker(redis_url, heard):
        for number in range(3):
            doorbell.ring(EXTRACT_TASK, EXTRACT_QUEUE, f"job-{number}")
        until(lambda: len(heard) == 4)
        until(lambda: redis.hlen("sluice:unacked.extract") == 0)
        assert doorbell.waiting(EXTRACT_QUEUE) == 0
    assert sorted(heard) == ["", "job-0", "job-1", "job-2"]
    doorbell.close()
    strangers = [key for key in redis.scan_iter() if not key.startswith(b"sluice:")]
    assert strangers == [], "nothing outside the prefix, so that another Celery app may share this Redis"


def test_thousand_bells_from_eight_threads_each_ring_once(redis: Redis, redis_url: str) -> None:
    doorbell, heard = CeleryDoorbell(redis_url), list[str]()

    def ring(thread: int) -> None:
        for number in range(125):
            doorbell.ring(EXTRACT_TASK, EXTRACT_QUEUE, f"{thread}-{number}")

    with extract_worker(redis_url, heard):
        threads = [threading.Thread(target=ring, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(heard) >= 1000)
    doorbell.close()
    assert set(Counter(heard).values()) == {1}
    assert len(heard) == 1000


def test_doorbell_says_when_redis_is_down_and_rings_when_it_is_back(own_redis: RedisServer) -> None:
    doorbell = CeleryDoorbell(own_redis.url)
    doorbell.ring(*JOB_BELL)
    own_redis.kill()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="the sweeper will ring it again"):
        doorbell.ring(*JOB_BELL)
    with pytest.raises(Unavailable, match="could not be counted"):
        doorbell.waiting(EXTRACT_QUEUE)
    assert time.monotonic() - began < 20
    own_redis.start()
    doorbell.ring(*JOB_BELL)
    with Redis.from_url(own_redis.url) as client:
        assert client.llen("sluice:sluice.extract") == 2
    doorbell.close()


def test_first_ring_does_not_wait_for_ever(own_redis: RedisServer) -> None:
    own_redis.kill()
    doorbell = CeleryDoorbell(own_redis.url)
    with pytest.raises(Unavailable):
        doorbell.ring(*JOB_BELL)
    doorbell.close()


def test_groups_share_no_unacked_keys() -> None:
    extract, deliver = broker_options("extract"), broker_options("deliver")
    for name in ("unacked_key", "unacked_index_key", "unacked_mutex_key"):
        assert extract[name] != deliver[name]
    assert extract["global_keyprefix"] == deliver["global_keyprefix"]


def test_silent_doorbell_remembers_what_was_rung() -> None:
    doorbell = SilentDoorbell()
    doorbell.ring(*JOB_BELL)
    doorbell.ring(*DELIVERY_BELL)
    wanted = [Bell(EXTRACT_TASK, "sluice.extract", ""), Bell(DELIVER_TASK, DELIVER_QUEUE, "")]
    assert doorbell.rung == wanted
