"""The truth about jobs and deliveries: one contract for both sides, in Redis and in memory."""

from sluice_schemas.ledger.deliveries import Consignment, Delivery, DeliveryClaim, Receipt
from sluice_schemas.ledger.faces import Outbox, ProducerLedger, SchemaRegistry, WorkerLedger
from sluice_schemas.ledger.memory import MemoryLedger
from sluice_schemas.ledger.records import Claim, Counts, DeadLetter, Limits, Outcome, Swept, Verdict
from sluice_schemas.ledger.scripts import Scripts, connect

__all__ = [
    "Claim",
    "Consignment",
    "Counts",
    "DeadLetter",
    "Delivery",
    "DeliveryClaim",
    "Limits",
    "MemoryLedger",
    "Outbox",
    "Outcome",
    "ProducerLedger",
    "Receipt",
    "SchemaRegistry",
    "Scripts",
    "Swept",
    "Verdict",
    "WorkerLedger",
    "connect",
]
