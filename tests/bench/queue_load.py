"""A hundred thousand documents that wait: memory of everybody, and whether the end goes as fast as the start.

`PYTHONPATH=tests python -m bench.queue_load --help`
"""

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import psutil
from bench import queue_report
from bench.queue_documents import SCHEMA, same
from bench.queue_stage import Service, awake, redis_server, resting
from redis import Redis
from rich.table import Table
from sluice_processes import Running

from sluice_producer import Sluice

COUNT = 100_000
SLICES = 20
WARM_UP = 2000
LOOK_EVERY_S = 0.02
GOAL = 0.05


def measure(count: int = COUNT) -> dict[str, Any]:
    """Submits all of them to a worker that rests, then lets it work them off."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        with redis_server(folder) as databases:
            url = databases(0)
            command = (sys.executable, "-m", "bench.queue_workers", "null", url)
            with resting(folder, "null", *command) as worker:
                return _measured(url, worker, count)


def _measured(url: str, worker: Running, count: int) -> dict[str, Any]:
    redis, service = Redis.from_url(url), Service(url)
    with awake(worker):
        service.answer([(each, SCHEMA) for each in same(WARM_UP, mark="warm")])
    done, empty = service.done(), _used(redis)
    submitting = _submitted(url, count)
    full = _used(redis)
    process = psutil.Process(worker.process.pid)
    rates, memory = [], []
    with awake(worker):
        for upto in _slices(count):
            before, began = service.done(), time.monotonic()
            while (now := service.done()) < done + upto:
                time.sleep(LOOK_EVERY_S)
            rates.append((now - before) / (time.monotonic() - began))
            memory.append(process.memory_info().rss)
        # Celery's count of messages under way drifts upwards over days (mitodl #5598): here it must be empty again.
        time.sleep(1)
        unacked = redis.hlen("sluice:unacked.extract")
    left = _used(redis)
    fifth = max(1, len(rates) // 5)
    start, end = statistics.median(rates[:fifth]), statistics.median(rates[-fifth:])
    return {
        "documents": count,
        **submitting,
        "doorbells_never_acknowledged": unacked,
        "redis_bytes_a_queued_job": round((full - empty) / count),
        "redis_bytes_an_ended_job": round((left - empty) / count),
        "documents_per_s": [round(each, 1) for each in rates],
        "start_documents_per_s": round(start, 1),
        "end_documents_per_s": round(end, 1),
        "end_to_start": round(end / start, 3),
        "worker_rss_mb": [round(each / 1e6, 1) for each in memory],
        "worker_growth": round(memory[-1] / memory[0], 3),
    }


def _submitted(url: str, count: int) -> dict[str, Any]:
    """Through one client; its own memory is that of this process."""
    me, memory, began = psutil.Process(), list[int](), time.monotonic()
    with Sluice(url) as client:
        sent = client.submit_many(same(count, mark="load"), schema=SCHEMA)
        for number, (_, job) in enumerate(sent, 1):
            if isinstance(job, Exception):
                raise job
            if number % (count // SLICES) == 0:
                memory.append(me.memory_info().rss)
    took_s = time.monotonic() - began
    return {
        "submitted_per_s": round(count / took_s, 1),
        "client_rss_mb": [round(each / 1e6, 1) for each in memory],
        "client_growth": round(memory[-1] / memory[0], 3),
    }


def _slices(count: int) -> Iterator[int]:
    return itertools.accumulate([count // SLICES] * SLICES)


def _used(redis: Redis) -> int:
    info: Any = redis.info("memory")
    return int(info["used_memory"])


def tables(found: dict[str, Any]) -> list[Table]:
    """One figure a row."""
    rows = [
        ("submitted by one client, a second", f"{found['submitted_per_s']:.0f}"),
        ("worked off, a second: first fifth", f"{found['start_documents_per_s']:.0f}"),
        ("last fifth", f"{found['end_documents_per_s']:.0f}"),
        (f"last to first (goal: within {GOAL:.0%})", f"{found['end_to_start']:.3f}"),
        ("memory of the client, last to first", f"{found['client_growth']:.3f}"),
        ("memory of the worker, last to first", f"{found['worker_growth']:.3f}"),
        ("doorbells never acknowledged", f"{found['doorbells_never_acknowledged']}"),
        ("Redis, bytes a job that waits", f"{found['redis_bytes_a_queued_job']}"),
        ("bytes a job that has ended, with its result", f"{found['redis_bytes_an_ended_job']}"),
    ]
    return [queue_report.table(f"Load: {found['documents']:,} documents that wait", ("", ""), rows)]


@click.command()
@click.option("--count", type=click.IntRange(SLICES), default=COUNT, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), default=queue_report.TARGET, show_default=True)
def main(count: int, target: Path) -> None:
    """Measure, print the table and merge the figures into the file."""
    found = measure(count)
    queue_report.merge(target, "load", found)
    queue_report.show(*tables(found))


if __name__ == "__main__":
    main()
