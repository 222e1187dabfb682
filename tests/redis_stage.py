"""The stage of the ledger's tests on a real Redis."""

import time

from ledger_stage import QUICK, Stage
from redis import Redis

from sluice_producer.ledger import RedisLedger as Producer
from sluice_worker.ledger import RedisLedger, RedisOutbox


def stage_on(client: Redis, retry_s: float = 1.0) -> Stage:
    """Under the limits QUICK; time passes by itself."""
    worker = RedisLedger(client, retry_s=retry_s)
    worker.set_limits(QUICK)
    return Stage(Producer(client, retry_s=retry_s), worker, RedisOutbox(client, retry_s=retry_s), time.sleep)
