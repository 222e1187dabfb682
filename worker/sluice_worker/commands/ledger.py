"""The ledger that the settings name, for commands that look into it or change it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sluice_schemas.ledger import connect
from sluice_worker.ledger import RedisLedger
from sluice_worker.settings import Settings


@contextmanager
def opened() -> Iterator[RedisLedger]:
    """Closes its connections at the end. Raises `Misconfigured` for wrong settings."""
    with closing(connect(Settings.read().redis_url)) as redis:
        yield RedisLedger(redis)
