"""A worker without a process: the twin in memory, and an engine that answers from a script."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from ledger_stage import Clock, endpoint, order, schema

from sluice_schemas.catalogue import Catalogue
from sluice_schemas.job import Job
from sluice_schemas.ledger import MemoryLedger
from sluice_schemas.queues import SilentDoorbell
from sluice_worker.engine.request import Completion, Request
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.leases import Leases
from sluice_worker.plan import Limits
from sluice_worker.work import Work

REF = "news/entities@1"
SECRET = "Xanthippe Quux"
TEXT = f"{SECRET} works in Kyiv."


@dataclass
class Bench:
    """A worker without a process."""

    ledger: MemoryLedger
    clock: Clock
    doorbell: SilentDoorbell
    leases: Leases
    work: Work

    def submit(self, **changes: Any) -> str:
        return self.ledger.accept(order(**{"text": TEXT, **changes})).id

    def run(self, **changes: Any) -> Job:
        job_id = self.submit(**changes)
        self.work.run()
        return self.ledger.job(job_id)


def answer(prompt: str) -> str:
    return orjson.dumps({"person": [SECRET]}).decode()


class BusyEngine(ScriptedEngine):
    """Never answers until it is told to."""

    def __init__(self) -> None:
        super().__init__(answer)
        self.running: list[tuple[Request, Future[Completion]]] = []
        self.has_started = threading.Event()

    def submit(self, request: Request) -> "Future[Completion]":
        future: Future[Completion] = Future()
        self.running.append((request, future))
        self.has_started.set()
        return future

    def finish(self) -> None:
        for _, future in self.running:
            future.set_result(Completion("{}", (), True, 1))


@contextmanager
def bench(engine: ScriptedEngine) -> Iterator[Bench]:
    clock = Clock()
    ledger, doorbell = MemoryLedger(clock=clock), SilentDoorbell()
    ledger.publish(schema())
    for name in ("kb", "audit"):
        ledger.outbox.add_endpoint(endpoint(name))
    leases = Leases(ledger, every_s=3600.0)
    limits = Limits(chunk_tokens=1000, overlap_tokens=0, answer_tokens=500)
    try:
        yield Bench(
            ledger, clock, doorbell, leases, Work(ledger, Catalogue(ledger), engine, leases, doorbell, limits, "w")
        )
    finally:
        leases.stop()


@contextmanager
def working(on: Bench, job_id: str, engine: BusyEngine) -> Iterator[Future[bool]]:
    """Runs the job in a task thread, from the moment on when the engine has its request."""
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(on.work.run)
        assert engine.has_started.wait(10)
        yield run
