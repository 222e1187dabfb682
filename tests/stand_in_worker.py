"""A worker in a thread: it listens to real doorbells, and claims and commits on a real Redis."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis

from sluice_producer.testing import empty
from sluice_schemas.extraction import Extraction
from sluice_schemas.ledger import Claim, connect
from sluice_schemas.queues import EXTRACT_QUEUE
from sluice_worker.ledger import RedisLedger

QUEUE = f"sluice:{EXTRACT_QUEUE}"


@contextmanager
def stand_in_worker(
    url: str, answer: Callable[[Claim], Extraction] = empty, *, pause_s: float = 0.0
) -> Iterator[RedisLedger]:
    """Works until the block ends, one document after the other, with a pause before each; gives its ledger."""
    ledger, over = RedisLedger(connect(url)), threading.Event()

    def work() -> None:
        with Redis.from_url(url) as bells:
            while not over.is_set():
                if bells.rpop(QUEUE) is None:
                    over.wait(0.005)
                elif claim := ledger.claim("stand-in"):
                    over.wait(pause_s)
                    ledger.commit(claim, answer(claim))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ledger
    finally:
        over.set()
        thread.join()
