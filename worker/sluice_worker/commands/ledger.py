"""The ledger and the outbox that the settings name, for commands that look into them or change them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sluice_schemas.ledger import connect
from sluice_worker.ledger import RedisLedger, RedisOutbox
from sluice_worker.settings import Settings


@contextmanager
def opened() -> Iterator[RedisLedger]:
    """Closes its connections at the end. Raises `Misconfigured` for wrong settings."""
    with closing(connect(Settings.read().redis_url)) as redis:
        yield RedisLedger(redis)


@contextmanager
def opened_outbox() -> Iterator[RedisOutbox]:
    """As `opened`."""
    with closing(connect(Settings.read().redis_url)) as redis:
        yield RedisOutbox(redis)
