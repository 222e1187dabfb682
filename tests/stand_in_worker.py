"""A worker in a thread: it listens to real doorbells, and claims and commits on a real Redis."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
from redis import Redis

from sluice_producer.testing import empty
from sluice_schemas.extraction import Extraction
from sluice_schemas.ledger import Claim, connect
from sluice_schemas.queues import EXTRACT_QUEUES
from sluice_worker.ledger import RedisLedger

QUEUES = [f"sluice:{name}" for name in EXTRACT_QUEUES.values()]


@contextmanager
def stand_in_worker(
    url: str, answer: Callable[[Claim], Extraction] = empty, *, pause_s: float = 0.0
) -> Iterator[RedisLedger]:
    """Works until the block ends, one document after the other, with a pause before each; gives its ledger."""
    ledger, over = RedisLedger(connect(url)), threading.Event()

    def work() -> None:
        with Redis.from_url(url) as bells:
            while not over.is_set():
                job_id = _heard(bells)
                if job_id is None:
                    over.wait(0.005)
                elif claim := ledger.claim(job_id, "stand-in"):
                    over.wait(pause_s)
                    ledger.commit(claim, answer(claim))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ledger
    finally:
        over.set()
        thread.join()


def _heard(bells: Redis) -> str | None:
    # Celery's message protocol: the body is [[args], {kwargs}, {embed}] in base64.
    for queue in QUEUES:
        raw = bells.rpop(queue)
        if isinstance(raw, bytes):
            return str(orjson.loads(base64.b64decode(orjson.loads(raw)["body"]))[0][0])
    return None
