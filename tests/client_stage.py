"""A client on the ledger's twin in memory, with a test in the worker's place."""

from typing import Any

from ledger_stage import claim_on, endpoint

from sluice_producer import ExtractionSchema, Job, Sluice
from sluice_producer.testing import empty
from sluice_schemas.ledger import Claim, MemoryLedger
from sluice_schemas.queues import SilentDoorbell
from sluice_schemas.schema import Type

NEWS = "news/entities-en@1"
TEXT = "Anna works in Kyiv."


class Turn:
    """A clock that a test turns."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A client whose jobs stay queued until the test plays the worker."""

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self.clock = Turn()
        self.ledger = ledger or MemoryLedger(clock=self.clock)
        self.ledger.outbox.add_endpoint(endpoint("kb"), replace=True)
        self.bell = SilentDoorbell()
        self.client = Sluice(ledger=self.ledger, doorbell=self.bell)

    def submit(self, text: str = TEXT, **options: Any) -> Job:
        return self.client.submit(text, schema=NEWS, **options)

    def claim(self, job_id: str) -> Claim:
        return claim_on(self.ledger, job_id)

    def commit(self, job_id: str) -> None:
        claim = self.claim(job_id)
        self.ledger.commit(claim, empty(claim))


def own_schema(version: int = 1, name: str = "person") -> ExtractionSchema:
    return ExtractionSchema(id="house/own", version=version, task="NER", language="en", types=(Type(name=name),))
