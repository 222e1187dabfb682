"""How long a document takes from its arrival to its result, by load: `PYTHONPATH=tests python -m bench.queue_latency`.

Arrivals are open-loop (Poisson): who sends does not wait for answers. Times count from when a document was due to be
sent, so that a sender that falls behind hides nothing.
"""

import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from bench import queue_report
from bench.queue_documents import short
from bench.queue_stage import SLUICE, Service, awake, redis_server, resting, seconds

SHARES = (0.1, 0.5, 0.8, 0.95)
"""Of the capacity."""
PERCENTILES = (0.5, 0.95, 0.99)
WAITED_FOR = 10
"""Documents that a caller submits and waits for, one after the other."""
SHORTEST_S = 0.05
GOAL_S = 0.015


@dataclass(frozen=True, slots=True)
class Sample:
    """One document: from due to committed, the worker's work on it, and what of that was spent in the engine."""

    end_to_end_s: float
    work_s: float
    engine_s: float


def measure(*, documents: int = 64, window_s: float = 5.0, rounds: int = 5, seed: int = 1) -> dict[str, Any]:
    """Every round measures the capacity with `documents`, then each load for `window_s`; figures are over all rounds.

    The capacity is in documents/s, times are in ms.
    """
    chance = random.Random(seed)
    capacities: list[float] = []
    samples: dict[float, list[Sample]] = {share: [] for share in SHARES}
    waits_s: list[float] = []
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name, redis_server(Path(name)) as url:
        environment = {"SLUICE_ENGINE": "transformers", "SLUICE_REDIS_URL": url(0)}
        service, marks = Service(url(0)), _marks()
        with resting(Path(name), "worker", *SLUICE, **environment) as worker, awake(worker):
            _capacity(service, documents, next(marks))
            for _ in range(rounds):
                capacities.append(_capacity(service, documents, next(marks)))
                for share, taken in samples.items():
                    arrivals = poisson(share * statistics.median(capacities), window_s, chance)
                    taken += _load(service, arrivals, next(marks))
                waits_s += _waits(service, next(marks))
    return {
        "rounds": rounds,
        "window_s": window_s,
        "goal_ms": GOAL_S * 1e3,
        "capacity_documents_per_s": statistics.median(capacities),
        "waiting_with_result_ms": statistics.median(waits_s) * 1e3,
        "loads": [{"share": share} | summary(taken) for share, taken in samples.items()],
    }


def poisson(rate: float, window_s: float, chance: random.Random) -> list[float]:
    """Arrivals in seconds from the beginning of a window, at least one."""
    arrivals = [chance.expovariate(rate)]
    while arrivals[-1] < window_s:
        arrivals.append(arrivals[-1] + chance.expovariate(rate))
    return arrivals[:-1] or [window_s]


def summary(samples: Sequence[Sample]) -> dict[str, float]:
    """Percentiles in ms; the overhead is that of each document over its own time in the engine."""
    whole = [each.end_to_end_s for each in samples]
    overhead = [each.end_to_end_s - each.engine_s for each in samples]
    parts = {
        "engine_p50_ms": percentile([each.engine_s for each in samples], 0.5),
        "plan_and_merge_p50_ms": percentile([each.work_s - each.engine_s for each in samples], 0.5),
        "queue_and_ledger_p50_ms": percentile([each.end_to_end_s - each.work_s for each in samples], 0.5),
    }
    named = {f"p{share * 100:.0f}_ms": percentile(whole, share) for share in PERCENTILES}
    named |= {f"overhead_p{share * 100:.0f}_ms": percentile(overhead, share) for share in PERCENTILES}
    return {"documents": len(samples)} | {name: value * 1e3 for name, value in (named | parts).items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: the least value that `share` of all do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _marks() -> Iterator[int]:
    """Another one for each part of the run, so that no document comes twice."""
    yield from range(1, 10_000)


def _capacity(service: Service, count: int, mark: int) -> float:
    """Documents/s when all of them wait from the beginning."""
    documents = short(count, mark=mark)
    return len(documents) / seconds(lambda: service.answer(documents))


def _load(service: Service, arrivals: Sequence[float], mark: int) -> list[Sample]:
    before = service.done()
    began = time.time() + SHORTEST_S
    due: dict[str, float] = {}
    for at, (document, ref) in zip(arrivals, short(len(arrivals), mark=mark), strict=True):
        time.sleep(max(0.0, began + at - time.time()))
        due[service.client.submit(document, schema=ref).id] = began + at
    service.await_done(before + len(due))
    return [_sample(service, job_id, at) for job_id, at in due.items()]


def _sample(service: Service, job_id: str, due: float) -> Sample:
    """Redis's clock, which the job's times are by, is this machine's."""
    job, usage = service.client.job(job_id), service.client.result(job_id).usage
    if job.ended_at is None:
        raise SystemExit(f"Job {job_id} has a result and no end.")
    return Sample(job.ended_at - due, usage.total_s, usage.engine_s)


def _waits(service: Service, mark: int) -> list[float]:
    """What a caller that waits for one result at a time waits beyond its commit, in seconds."""
    waits: list[float] = []
    for document, ref in short(WAITED_FOR, mark=mark):
        job = service.client.submit(document, schema=ref)
        service.client.result(job.id)
        waits.append(time.time() - (service.client.job(job.id).ended_at or 0.0))
    return waits


@click.command()
@click.option("--documents", type=click.IntRange(1), default=64, show_default=True, help="For the capacity, a round.")
@click.option("--window-s", type=click.FloatRange(0.5), default=5.0, show_default=True, help="Of each load, a round.")
@click.option("--repeat", type=click.IntRange(1), default=5, show_default=True, help="Rounds.")
@click.option("--json", "target", type=click.Path(path_type=Path), default=queue_report.TARGET, show_default=True)
def main(documents: int, window_s: float, repeat: int, target: Path) -> None:
    """Measure end-to-end latency at several loads, on the Transformers engine with the shipped model."""
    found = measure(documents=documents, window_s=window_s, rounds=repeat)
    queue_report.merge(target, "e", found)
    heads = ("Load", "documents", "p50", "p95", "p99", "engine", "over it: p50", "p95", "p99")
    names = ("p50", "p95", "p99", "engine_p50", "overhead_p50", "overhead_p95", "overhead_p99")
    rows = [
        (f"{load['share']:.0%}", f"{load['documents']}", *(f"{load[f'{name}_ms']:.0f}" for name in names))
        for load in found["loads"]
    ]
    low = found["loads"][0]
    parts = [
        ("Engine, micro-batcher included", f"{low['engine_p50_ms']:.1f}"),
        ("Plan and merge", f"{low['plan_and_merge_p50_ms']:.1f}"),
        ("Submit, doorbell, claim and commit", f"{low['queue_and_ledger_p50_ms']:.1f}"),
        ("Over the engine, in all", f"{low['overhead_p50_ms']:.1f}"),
        ("More for a caller that waits with result()", f"{found['waiting_with_result_ms']:.1f}"),
    ]
    title = f"e. From arrival to result, in ms; capacity {found['capacity_documents_per_s']:.1f} documents/s"
    queue_report.show(
        queue_report.table(title, heads, rows),
        queue_report.table("Where they go", (f"At {low['share']:.0%} of capacity, medians", "ms"), parts),
    )


if __name__ == "__main__":
    main()
