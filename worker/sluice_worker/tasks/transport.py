"""kombu's Redis transport, for queues into which anybody may have pushed anything."""

from queue import Empty
from typing import Any

import structlog
from kombu.transport import redis

log = structlog.get_logger()


class Channel(redis.Channel):  # type: ignore[misc]
    """Drops what is no message at all. kombu lets the error through, and Celery then ends the worker.

    kombu makes a client for every command, which takes as long as the command itself; here one serves a pool.
    """

    _shared: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous)
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = super()._create_client()
        return self._shared

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            log.warning("A malformed message was dropped.", action="doorbell.malformed", error=type(exc).__name__)
            raise Empty from exc


class Transport(redis.Transport):  # type: ignore[misc]
    """Name it as `broker_transport`."""

    Channel = Channel
