"""a. Through the queue, against the ceiling: the same prompts given straight to an engine of the same kind at once."""

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import psutil
from bench.fleet import Fleet, Kind, Model
from bench.queue_report import table
from bench.queue_stage import Service, awake, seconds
from bench.rounds import Flight, Turn, fly, rate, ratio
from bench.throughput import Pass
from redis import Redis
from rich.table import Table

from sluice_schemas.document import Document
from sluice_schemas.errors import SluiceError

GOAL = 0.90
MARK = 10_000
"""The queue's pass and the ceiling's have the same texts in a round, and no others have them."""


@dataclass(frozen=True, slots=True)
class Queued(Pass):
    """A pass through the queue.

    `submit_s` of its time went into submitting. `engine_s` a document was in the engine, `work_s` on the worker in all,
    in the mean. `processors` are the seconds of processor time that each part took.
    """

    submit_s: float
    engine_s: float
    work_s: float
    processors: Mapping[str, float]

    @property
    def busy(self) -> float:
        """Processors in use, in the mean."""
        return sum(self.processors.values()) / self.seconds


def turns(fleet: Fleet, model: Model) -> dict[str, Turn]:
    """For each engine its ceiling and its queue, by name."""
    found: dict[str, Turn] = {}
    for kind in fleet.scale.kinds:
        found |= {f"{kind} ceiling": _straight(fleet, kind, model), f"{kind} queue": _queue(fleet, kind, model)}
    return found


def figures(fleet: Fleet, passes: Mapping[str, Sequence[Pass]]) -> dict[str, Any]:
    """Medians for each engine, out of a race in which all of `turns` ran."""
    found: dict[str, Any] = {}
    for kind in fleet.scale.kinds:
        straight = passes[f"{kind} ceiling"]
        queued = [each for each in passes[f"{kind} queue"] if isinstance(each, Queued)]
        _demand_same(straight, queued)
        found[kind] = {
            "documents": queued[0].documents,
            "rounds": len(queued),
            "ceiling_documents_per_s": rate(straight),
            "queue_documents_per_s": rate(queued),
            "queue_to_ceiling": ratio(queued, straight),
            "submit_ms": _median_ms(each.submit_s / each.documents for each in queued),
            "engine_ms": _median_ms(each.engine_s for each in queued),
            "outside_ms": _median_ms(each.work_s - each.engine_s for each in queued),
            "busy_processors": statistics.median(each.busy for each in queued),
            "processor_ms": {
                name: _median_ms(each.processors[name] / each.documents for each in queued)
                for name in queued[0].processors
            },
        }
    return found


def tables(found: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """`found` has the figures of each model."""
    rates, limits = [], []
    for model, kinds in found.items():
        for kind, each in kinds.items():
            name = f"{model}, {kind}"
            rates.append(
                (
                    name,
                    f"{each['ceiling_documents_per_s']:.2f}",
                    f"{each['queue_documents_per_s']:.2f}",
                    f"{each['queue_to_ceiling']:.2f}",
                    f"{GOAL:.2f}" if model == "random" else "-",
                )
            )
            spent = each["processor_ms"]
            limits.append((name, *(f"{spent[part]:.0f}" for part in PARTS), f"{each['busy_processors']:.2f}"))
    heads = ("Documents/s", "at once", "through the queue", "ratio", "goal")
    busy = ("Processor ms a document, through the queue", *PARTS, "busy cores")
    return [table("a. Through the queue, against the ceiling", heads, rates), table("What limits it", busy, limits)]


PARTS = ("worker", "engine", "redis", "client")
"""`engine` are vLLM's own processes; Transformers computes within the worker's."""


def _straight(fleet: Fleet, kind: Kind, model: Model) -> Turn:
    def turn(number: int) -> Flight:
        return fly(fleet.engine(kind, model), fleet.requests(model, MARK + number))

    return turn


def _queue(fleet: Fleet, kind: Kind, model: Model) -> Turn:
    running, url = fleet.worker(kind, model)
    service = Service(url)
    redis = psutil.Process(_redis_process(url))
    meter = _Meter(psutil.Process(running.process.pid), redis)

    def turn(number: int) -> Queued:
        given = fleet.documents(model, MARK + number)
        jobs: list[str] = []
        usages: list[Any] = []
        before = service.done()

        def read_back() -> None:
            service.await_done(before + len(jobs))
            usages.extend(_usage(outcome) for _, outcome in service.client.results(jobs))

        with awake(running):
            at = meter.read()
            submit_s = seconds(lambda: jobs.extend(_submitted(service, given)))
            rest_s = seconds(read_back)
            processors = {name: now - at[name] for name, now in meter.read().items()}
        return Queued(
            documents=len(jobs),
            requests=sum(each.requests for each in usages),
            prompt_tokens=sum(each.prompt_tokens for each in usages),
            completion_tokens=sum(each.completion_tokens for each in usages),
            seconds=submit_s + rest_s,
            submit_s=submit_s,
            engine_s=statistics.mean(each.engine_s for each in usages),
            work_s=statistics.mean(each.total_s for each in usages),
            processors=processors,
        )

    return turn


def _submitted(service: Service, given: Sequence[tuple[Document, str]]) -> list[str]:
    """The ids of the jobs; the documents come schema by schema."""
    jobs = []
    for ref, pairs in groupby(given, key=lambda pair: pair[1]):
        for _, job in service.client.submit_many([document for document, _ in pairs], schema=ref):
            if isinstance(job, SluiceError):
                raise job
            jobs.append(job.id)
    return jobs


def _usage(outcome: Any) -> Any:
    if isinstance(outcome, SluiceError):
        raise outcome
    return outcome.usage


@dataclass(frozen=True, slots=True)
class _Meter:
    """Processor time by part, in seconds since each began."""

    worker: psutil.Process
    redis: psutil.Process

    def read(self) -> dict[str, float]:
        return {
            "worker": _spent(self.worker),
            "engine": sum(map(_spent, self.worker.children(recursive=True))),
            "redis": _spent(self.redis),
            "client": _spent(psutil.Process(os.getpid())),
        }


def _redis_process(url: str) -> int:
    with Redis.from_url(url) as redis:
        return int(redis.info("server")["process_id"])


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _demand_same(straight: Sequence[Pass], queued: Sequence[Pass]) -> None:
    """Raises `SystemExit` where the two sides were not asked the same."""
    for ours, theirs in zip(queued, straight, strict=True):
        if (ours.requests, ours.prompt_tokens) != (theirs.requests, theirs.prompt_tokens):
            raise SystemExit(f"The queue asked other prompts than the ceiling: {ours} and {theirs}.")


def _median_ms(seconds: Iterable[float]) -> float:
    return statistics.median(seconds) * 1e3
