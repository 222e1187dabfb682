"""`sluice dead`, `jobs`, `drain` and `resume` on a real Redis, as ops run them."""

import os
import subprocess

import orjson
import pytest
from ledger_stage import order, schema
from redis import Redis
from sluice_processes import ran

from sluice_producer.ledger import RedisLedger as ProducerLedger
from sluice_schemas.errors import Full
from sluice_schemas.queues import EXTRACT_QUEUE
from sluice_worker.client import SLUICE
from sluice_worker.ledger import RedisLedger


@pytest.fixture
def letters(redis: Redis) -> list[str]:
    """Two dead jobs, the latest first."""
    producer, worker = ProducerLedger(redis), RedisLedger(redis)
    worker.publish(schema())
    jobs: list[str] = []
    for key in ("first", "second"):
        job = producer.accept(order(key=key))
        claim = worker.claim("w")
        assert claim is not None
        worker.fail(claim, f"The {key} broke.", verdict="dead", traceback=f"trace {key}", raw="{")
        jobs.insert(0, job.id)
    return jobs


def test_list_and_show_tell_all_there_is(redis_url: str, letters: list[str]) -> None:
    listed = ran(redis_url, "dead", "list")
    assert [orjson.loads(line)["id"] for line in listed.stdout.splitlines()] == letters
    shown = orjson.loads(ran(redis_url, "dead", "show", letters[0]).stdout)
    assert (shown["reason"], shown["traceback"], shown["raw"]) == ("The second broke.", "trace second", "{")


def test_replay_queues_and_rings_and_names_what_is_no_letter(redis: Redis, redis_url: str, letters: list[str]) -> None:
    done = ran(redis_url, "dead", "replay", "no-such-job", letters[1])
    assert (done.returncode, done.stdout) == (1, f"{letters[1]} queued\n")
    assert "'no-such-job' is not among the dead letters" in done.stderr
    assert redis.llen(f"sluice:{EXTRACT_QUEUE}") == 1
    assert ran(redis_url, "dead", "replay", "--all").stdout == f"{letters[0]} queued\n"
    assert RedisLedger(redis).counts().queued == 2


def test_drop_asks_first_and_deletes_for_good(redis: Redis, redis_url: str, letters: list[str]) -> None:
    assert ran(redis_url, "dead", "drop", "--all").returncode == 130, "nobody said yes"
    assert RedisLedger(redis).counts().dead == 2
    assert ran(redis_url, "dead", "drop", "--yes", "--all").returncode == 0
    assert ran(redis_url, "dead", "list").stdout == ""
    assert redis.keys("*:doc:*") == []


def test_neither_jobs_nor_all_is_a_usage_error(redis_url: str) -> None:
    for action in (("replay",), ("drop", "--yes")):
        done = ran(redis_url, "dead", *action)
        assert done.returncode == 2
        assert "Name the jobs, or say --all." in done.stderr


def test_jobs_counts_and_measures(redis: Redis, redis_url: str, letters: list[str]) -> None:
    ProducerLedger(redis).accept(order(key="waits"))
    done = ran(redis_url, "jobs", "--over", "0.2")
    figures = orjson.loads(done.stdout)
    assert (figures["queued"], figures["dead"], figures["ended"]) == (1, 2, {"dead": 2})
    assert (figures["accepted_per_s"], figures["ended_per_s"]) == (0, 0)
    assert figures["oldest_age_s"] > 0


def test_drain_waits_for_what_was_accepted_and_resume_opens_again(redis: Redis, redis_url: str) -> None:
    producer, worker = ProducerLedger(redis), RedisLedger(redis)
    worker.publish(schema())
    job = producer.accept(order(key="before"))
    with subprocess.Popen(
        [*SLUICE, "drain", "--wait"],
        env={**os.environ, "SLUICE_REDIS_URL": redis_url},
        stdout=subprocess.PIPE,
        text=True,
    ) as draining:
        assert draining.stdout is not None
        assert [draining.stdout.readline() for _ in range(2)] == [
            "The intake is closed; `sluice resume` opens it.\n",
            "1 jobs and 0 deliveries are left.\n",
        ]
        with pytest.raises(Full, match="intake is closed"):
            producer.accept(order(key="after"))
        assert draining.poll() is None
        producer.cancel(job.id)
        assert draining.communicate(timeout=30)[0] == "Nothing is left to do.\n"
    assert draining.returncode == 0
    assert ran(redis_url, "resume").stdout == "The intake is open.\n"
    assert producer.accept(order(key="after")).state == "queued"
