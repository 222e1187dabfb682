"""What the queue itself costs, with an engine that answers at once: `PYTHONPATH=tests python -m bench.queue_overhead`.

Documents/s of one worker against Celery tasks that do nothing on the same pool, submitting against plain Redis calls
with the same bytes, and where the microseconds of a document go.
"""

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
import orjson
import psutil
from bench import queue_report
from bench.queue_documents import SCHEMA, same
from bench.queue_stage import Service, awake, redis_server, resting, seconds, surroundings, until_quickly
from bench.queue_steps import STEPS
from redis import Redis
from sluice_processes import Running

from sluice_producer.orders import order_of
from sluice_schemas.document import Document
from sluice_schemas.queues import EXTRACT_QUEUE, EXTRACT_TASK, message
from sluice_worker.tasks import app as celery_app

PIPELINED = 100
"""Documents in one pipeline."""
WARM_UP = 50
GOAL = 0.5
RATIOS = {
    "drain": ("null_drain", "bare_drain"),
    "drain_full": ("full_drain", "bare_drain"),
    "through": ("null_through", "bare_through"),
    "through_full": ("full_through", "bare_through"),
    "submit": ("null_submit", "redis_pipelined"),
    "submit_to_calls": ("null_submit", "redis_called"),
    "submit_to_celery": ("null_submit", "bare_submit"),
}

ROWS = {
    "drain": ("worked off by one worker", "Celery no-ops"),
    "drain_full": ("with seven values each", ""),
    "through": ("submitted at the same time", "Celery no-ops"),
    "through_full": ("with seven values each", ""),
    "submit": ("submit_many alone", "Redis, pipelined"),
    "submit_to_calls": ("", "Redis, one by one"),
    "submit_to_celery": ("", "Celery send_task"),
}
CPU = {
    "null_worker_us": "Sluice's worker, working off",
    "full_worker_us": "the same with seven values each",
    "null_redis_us": "Redis under it",
    "bare_worker_us": "Celery's worker, no-ops",
    "bare_redis_us": "Redis under that",
}

Figures = dict[str, float]


class Queue(Protocol):
    """The producer's end of a queue."""

    def send(self, documents: Sequence[Document]) -> None: ...

    def left(self) -> int:
        """How much of what was sent is not done."""
        ...


class Sluice:
    """`submit_many`, one document after the other."""

    def __init__(self, url: str) -> None:
        self._service = Service(url)
        self._sent = 0

    def send(self, documents: Sequence[Document]) -> None:
        for _, job in self._service.client.submit_many(documents, schema=SCHEMA):
            if isinstance(job, Exception):
                raise job
            self._sent += 1

    def left(self) -> int:
        return self._sent - self._service.done()


class Bare:
    """Celery's own client, for tasks that do nothing."""

    def __init__(self, url: str) -> None:
        self._app = celery_app.make(url, "extract", canary="bench")
        self._app.conf.update(broker_transport="redis")
        self._redis = Redis.from_url(url)

    def send(self, documents: Sequence[Document]) -> None:
        for each in documents:
            self._app.send_task(EXTRACT_TASK, (each.id,), queue=EXTRACT_QUEUE)

    def left(self) -> int:
        # What was received last still runs when nothing is left, for less than the looking takes.
        return int(self._redis.llen(f"sluice:{EXTRACT_QUEUE}")) + int(self._redis.hlen("sluice:unacked.extract"))


@dataclass(frozen=True, slots=True)
class Side:
    """A queue with its one worker, which rests except while it is measured."""

    name: str
    queue: Queue
    worker: Running
    redis_pid: int

    def figures(self, documents: Sequence[Document]) -> Figures:
        """Documents/s: submitting while nobody works, working off what waits, and both at once.

        Beside them the processor time of the worker and of Redis for each document worked off, in us.
        """
        half = len(documents) // 2
        submit_s = seconds(lambda: self.queue.send(documents[:half]))
        with awake(self.worker):
            drain = self._drain()
            through_s = seconds(lambda: self.queue.send(documents[half:])) + seconds(self._await_done)
        figures = {"submit": half / submit_s, "through": (len(documents) - half) / through_s, **drain}
        return {f"{self.name}_{name}": value for name, value in figures.items()}

    def _drain(self) -> Figures:
        """From the first sign of progress on: a worker that has rested takes a moment to notice."""
        waiting = self.queue.left()
        until_quickly(lambda: self.queue.left() < waiting)
        began, left, before = time.perf_counter(), max(1, self.queue.left()), self._cpu_s()
        self._await_done()
        took_s = time.perf_counter() - began
        worker_s, redis_s = (now - then for now, then in zip(self._cpu_s(), before, strict=True))
        return {"drain": left / took_s, "worker_us": worker_s / left * 1e6, "redis_us": redis_s / left * 1e6}

    def _await_done(self) -> None:
        until_quickly(lambda: not self.queue.left())

    def _cpu_s(self) -> tuple[float, ...]:
        times = (psutil.Process(pid).cpu_times() for pid in (self.worker.process.pid, self.redis_pid))
        return tuple(each.user + each.system for each in times)


def measure(*, documents: int = 1000, repeats: int = 5) -> dict[str, Any]:
    """Medians over `repeats` rounds, in each of which everything is measured once; rates are in documents/s."""
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as name,
        redis_server(Path(name)) as url,
        ExitStack() as on,
    ):
        plain = Redis.from_url(url(4))
        redis_pid = int(plain.info("server")["process_id"])
        # A database each, so that nobody hears the other's bells.
        queues: dict[str, Queue] = {"null": Sluice(url(0)), "full": Sluice(url(1)), "bare": Bare(url(2))}
        sides = []
        for i, (kind, queue) in enumerate(queues.items()):
            command = (sys.executable, "-m", "bench.queue_workers", kind, url(i))
            sides.append(Side(kind, queue, on.enter_context(resting(Path(name), kind, *command)), redis_pid))
            sides[i].figures([*same(WARM_UP, mark="warm-up")])
        rounds = [_round(sides, plain, url(3), count=documents, mark=f"{i}") for i in range(repeats)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    return {"documents": documents, "repeats": repeats, "goal": GOAL, **medians}


def _round(sides: Sequence[Side], plain: Redis, steps_url: str, *, count: int, mark: str) -> Figures:
    figures: Figures = {}
    for side in sides:
        figures |= side.figures([*same(2 * count, mark=f"{mark}-{side.name}")])
    figures |= _redis_rates(plain, [*same(count, mark=f"{mark}-plain")])
    ratios = {name: figures[ours] / figures[theirs] for name, (ours, theirs) in RATIOS.items()}
    return figures | ratios | _steps(steps_url, max(10, count // 4))


def _redis_rates(redis: Redis, documents: Sequence[Document]) -> Figures:
    """Documents/s when the bytes of an order and of its doorbell are just written, many in a pipeline or one by one."""
    pairs = [(order_of(each, SCHEMA, {}).encode(), orjson.dumps(message(EXTRACT_TASK, each.id))) for each in documents]
    numbers = itertools.count()

    def write(client: Any, pair: tuple[bytes, bytes]) -> None:
        client.set(f"document:{next(numbers)}", pair[0])
        client.lpush("bells", pair[1])

    def pipelined() -> None:
        for i in range(0, len(pairs), PIPELINED):
            pipe = redis.pipeline(transaction=False)
            for pair in pairs[i : i + PIPELINED]:
                write(pipe, pair)
            pipe.execute()

    def called() -> None:
        for pair in pairs:
            write(redis, pair)

    rates = {f"redis_{each.__name__}": len(pairs) / seconds(each) for each in (pipelined, called)}
    redis.flushdb()
    return rates


def _steps(url: str, count: int) -> Figures:
    """In a process of its own, which logs as a worker does."""
    command = [sys.executable, "-m", "bench.queue_steps", url, str(count)]
    done = subprocess.run(command, env=surroundings(), capture_output=True)
    if done.returncode:
        raise SystemExit(done.stderr.decode()[-2000:])
    found: Figures = orjson.loads(done.stdout)
    return found


@click.command()
@click.option("--documents", type=click.IntRange(100), default=1000, show_default=True, help="In each measurement.")
@click.option("--repeat", type=click.IntRange(1), default=5, show_default=True, help="Medians are taken over these.")
@click.option("--json", "target", type=click.Path(path_type=Path), default=queue_report.TARGET, show_default=True)
def main(documents: int, repeat: int, target: Path) -> None:
    """Measure the queue around a null engine against bare Celery and plain Redis."""
    found = measure(documents=documents, repeats=repeat)
    queue_report.merge(target, "d", found)
    heads = ("Documents/s", "Sluice", "beside it", "", "ratio")
    rows = [
        (name, f"{found[RATIOS[key][0]]:.0f}", f"{found[RATIOS[key][1]]:.0f}", peer, f"{found[key]:.2f}")
        for key, (name, peer) in ROWS.items()
    ]
    times = [(each.sentence, f"{found[each.name]:.0f}") for each in STEPS]
    times += [(f"processor time of {who}", f"{found[name]:.0f}") for name, who in CPU.items()]
    queue_report.show(
        queue_report.table("d. The queue around an engine that answers at once", heads, rows),
        queue_report.table("Where the time of a document goes", ("One at a time, seven values each", "us"), times),
    )


if __name__ == "__main__":
    main()
