"""The worker's side of the ledger."""

from sluice_worker.ledger.backoff import backoff_s
from sluice_worker.ledger.redis_ledger import RedisLedger

__all__ = ["RedisLedger", "backoff_s"]
