"""The worker's side of the ledger."""

from sluice_worker.ledger.backoff import backoff_s
from sluice_worker.ledger.redis_ledger import RedisLedger
from sluice_worker.ledger.redis_outbox import RedisOutbox

__all__ = ["RedisLedger", "RedisOutbox", "backoff_s"]
