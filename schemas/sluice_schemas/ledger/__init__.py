"""The truth about jobs and deliveries: one contract for both sides, in Redis and in memory."""

from sluice_schemas.ledger.faces import ProducerLedger, SchemaRegistry, WorkerLedger
from sluice_schemas.ledger.memory import MemoryLedger
from sluice_schemas.ledger.records import Claim, Counts, DeadLetter, DeliveryClaim, Limits, Outcome, Swept, Verdict
from sluice_schemas.ledger.scripts import Scripts, connect

__all__ = [
    "Claim",
    "Counts",
    "DeadLetter",
    "DeliveryClaim",
    "Limits",
    "MemoryLedger",
    "Outcome",
    "ProducerLedger",
    "SchemaRegistry",
    "Scripts",
    "Swept",
    "Verdict",
    "WorkerLedger",
    "connect",
]
