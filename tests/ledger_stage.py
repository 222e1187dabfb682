"""The stage on which every ledger's tests play, and the orders and extractions that they put on it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sluice_schemas.document import Document
from sluice_schemas.endpoint import Endpoint
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order
from sluice_schemas.ledger import (
    Claim,
    Consignment,
    Limits,
    MemoryLedger,
    Outbox,
    ProducerLedger,
    Receipt,
    Swept,
    WorkerLedger,
)
from sluice_schemas.schema import ExtractionSchema, Type

# Short enough to wait for, long enough for a busy machine.
QUICK = Limits(lease_s=0.6, sweep_s=0.001)
OVER_S = 0.7
HALF_S = 0.35


@dataclass
class Clock:
    """Stands still until a test turns it. Unix seconds."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Stage:
    """A ledger with both its faces and its outbox, and a way to let time pass. Two endpoints are registered."""

    producer: ProducerLedger
    worker: WorkerLedger
    outbox: Outbox
    wait: Callable[[float], None]

    def __post_init__(self) -> None:
        for name in ("kb", "audit"):
            self.outbox.add_endpoint(endpoint(name), replace=True)

    def submit(self, **changes: Any) -> Job:
        return self.producer.accept(order(**changes))

    def claimed(self, **changes: Any) -> Claim:
        return claim_on(self.worker, self.submit(**changes).id)

    def sweep(self, *, waiting: int = 0, waiting_deliveries: int = 0, limit: int = 100) -> Swept:
        """Sweeps when the last sweep's lock is surely gone."""
        self.wait(0.01)
        return self.worker.sweep(waiting=waiting, waiting_deliveries=waiting_deliveries, limit=limit)

    def committed(self, key: str = "k", **changes: Any) -> Claim:
        """A job that has succeeded; its webhooks wait."""
        claim = self.claimed(key=key, **{"endpoints": ("kb",), **changes})
        self.worker.commit(claim, extraction(claim))
        return claim

    def consignment(self) -> Consignment:
        """What waits to be posted now."""
        given = self.outbox.claim_deliveries("d")
        assert given is not None
        return given

    def settle(self, given: Consignment, receipt: Receipt, *, delay_s: float | None = HALF_S) -> tuple[str, ...]:
        return self.outbox.settle_deliveries(given, receipt, delays_s=[delay_s] * len(given.claims))

    def vanish(self, job_id: str) -> Claim:
        """A worker claims the job and is never heard of again."""
        claim = claim_on(self.worker, job_id)
        # Sweeps go on: a pause in which there are none is taken for an outage of Redis.
        self.wait(HALF_S)
        self.sweep()
        self.wait(HALF_S)
        return claim


def claim_on(ledger: WorkerLedger, job_id: str) -> Claim:
    """A claim on this very job; those whose turn comes first get theirs back."""
    passed = []
    while (claim := ledger.claim("w")) is not None and claim.job_id != job_id:
        passed.append(claim)
    for other in passed:
        ledger.release(other)
    assert claim is not None
    return claim


def endpoint(name: str = "kb", **changes: Any) -> Endpoint:
    return Endpoint(name=name, **{"url": f"https://{name}.example/events", **changes})


def memory_stage(clock: Clock) -> Stage:
    """On the twin in memory."""
    ledger = MemoryLedger(clock=clock)
    return Stage(ledger, ledger, ledger.outbox, clock.wait)


def order(key: str = "k", text: str = "Anna works in Kyiv.", **changes: Any) -> Order:
    return Order(**{"document": Document(id="d", text=text), "schema_ref": "news/entities@1", "key": key, **changes})


def extraction(claim: Claim, model: str = "m") -> Extraction:
    return Extraction(
        job_id=claim.job_id,
        document_id=claim.order.document.id,
        schema_ref=claim.order.schema_ref,
        task="NER",
        language="en",
        model=model,
    )


def schema(version: int = 1, name: str = "person") -> ExtractionSchema:
    return ExtractionSchema(id="news/entities", version=version, task="NER", language="en", types=(Type(name=name),))
