"""A worker on vLLM: its engine process dies, it is killed itself, it is told to stop."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from sluice_processes import Running, until
from worker_site import SENTENCE, Site

from sluice_schemas.ledger import Claim
from sluice_worker.process.station import Exit

pytestmark = pytest.mark.timeout(600)

VLLM = {"engine": "vllm", "cache_bytes": str(64 << 20), "max_adapters": "0", "sweep_every_s": "0.3", "lease_s": "3"}
LONG = SENTENCE * 120


@pytest.fixture
def site(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(redis_url, tmp_path)
    yield site
    site.client.close()


def children(worker: Running) -> list[psutil.Process]:
    return psutil.Process(worker.process.pid).children(recursive=True)


def engine_core(worker: Running) -> psutil.Process:
    return next(each for each in children(worker) if "EngineCore" in " ".join(each.cmdline()))


def gone(processes: list[psutil.Process], timeout_s: float) -> bool:
    return not psutil.wait_procs(processes, timeout=timeout_s)[1]


def claims_of(site: Site, count: int) -> list[Claim]:
    """Claims on all jobs once their delay is over; with no worker alive, nobody else sweeps."""
    claims: list[Claim] = []

    def are_all_claimed() -> bool:
        site.ledger.sweep()
        claims.extend(iter(lambda: site.ledger.claim("looking"), None))
        return len(claims) == count

    until(are_all_claimed)
    return claims


def test_engine_that_dies_takes_the_worker_with_it_and_its_documents_come_back_as_suspects(site: Site) -> None:
    with site.worker(**VLLM) as first:
        first.await_ready()
        jobs = [site.submit(f"{LONG} {n}") for n in range(2)]
        until(lambda: [site.state(each) for each in jobs] == ["running"] * 2)
        left = children(first)
        engine_core(first).kill()
        assert first.process.wait(60) == Exit.ENGINE_DEAD
        assert "engine.dead" in first.said()
        assert gone(left, 20)
    for job_id in jobs:
        job = site.job(job_id)
        assert (job.state, job.attempts) == ("queued", 1)
        assert "engine process has ended" in (job.reason or "")
    suspects = claims_of(site, len(jobs))
    assert all(each.is_suspect for each in suspects)
    for each in suspects:
        site.ledger.release(each)
    with site.worker(**VLLM) as second:
        second.await_ready()
        site.succeeds(*jobs)
        assert second.stop() == Exit.DONE


def test_nothing_outlives_a_killed_worker(site: Site) -> None:
    with site.worker(**VLLM) as worker:
        worker.await_ready()
        site.succeeds(site.submit())
        left = children(worker)
        assert engine_core(worker) in left
        worker.process.kill()
        assert gone(left, 20), "an orphan would hold the device's memory"


def test_sigterm_lets_documents_finish_and_leaves_no_process(site: Site) -> None:
    with site.worker(**VLLM, grace_s="60") as worker:
        worker.await_ready()
        jobs = [site.submit(f"{SENTENCE} {n}") for n in range(20)]
        until(lambda: any(site.state(each) == "running" for each in jobs))
        left = children(worker)
        started = time.monotonic()
        assert worker.stop() == Exit.DONE
        assert time.monotonic() - started < 50
        assert {site.state(each) for each in jobs} <= {"succeeded", "queued"}
        assert gone(left, 20)
        assert "Lovelace" not in worker.said()
