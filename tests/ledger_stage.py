"""The stage on which every ledger's tests play, and the orders and extractions that they put on it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sluice_schemas.document import Document
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order
from sluice_schemas.ledger import Claim, Limits, ProducerLedger, Swept, WorkerLedger
from sluice_schemas.schema import ExtractionSchema, Type

# Short enough to wait for, long enough for a busy machine.
QUICK = Limits(lease_s=0.6, ring_after_s=0.6, sweep_s=0.001)
OVER_S = 0.7
HALF_S = 0.35


@dataclass(frozen=True)
class Stage:
    """A ledger with both its faces, and a way to let time pass."""

    producer: ProducerLedger
    worker: WorkerLedger
    wait: Callable[[float], None]

    def submit(self, **changes: Any) -> Job:
        return self.producer.accept(order(**changes))

    def claimed(self, **changes: Any) -> Claim:
        claim = self.worker.claim(self.submit(**changes).id, "w")
        assert claim is not None
        return claim

    def sweep(self, limit: int = 100) -> Swept:
        """Sweeps when the last sweep's lock is surely gone."""
        self.wait(0.01)
        return self.worker.sweep(limit)

    def vanish(self, job_id: str) -> Claim:
        """A worker claims the job and is never heard of again."""
        claim = self.worker.claim(job_id, "w")
        assert claim is not None
        self.wait(OVER_S)
        return claim


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
