"""kombu's Redis transport, for queues into which anybody may have pushed anything."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any, NoReturn

import structlog
from kombu.transport import redis, virtual
from redis.exceptions import DataError, OutOfMemoryError, RedisError

log = structlog.get_logger()


class QoS(redis.QoS):  # type: ignore[misc]
    """Does without what a full Redis refuses. kombu lets the error through, and Celery then ends the worker."""

    def append(self, message: Any, delivery_tag: str) -> None:
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            # In memory only: a doorbell that dies with this process is rung again.
            virtual.QoS.append(self, message, delivery_tag)

    @contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:
        """Without MULTI, in which a full Redis refuses to delete."""
        if pipe is not None:
            yield pipe
            return
        with self.channel.conn_or_acquire(client) as client:
            yield client.pipeline(transaction=False)

    def restore_visible(self, *args: Any, **options: Any) -> None:
        with suppress(OutOfMemoryError):
            super().restore_visible(*args, **options)


class Channel(redis.Channel):  # type: ignore[misc]
    """Drops what is no message at all. kombu lets the error through, and Celery then ends the worker.

    kombu makes a client for every command, which takes as long as the command itself; here one serves a pool.
    """

    QoS = QoS
    _shared: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous)
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = super()._create_client()
        return self._shared

    def _queue_bind(self, *binding: Any) -> None:
        """Notes nothing: the default exchange needs no bindings, and a full Redis would refuse one and its worker."""

    def _size(self, queue: str) -> int:
        """Without kombu's MULTI, in which a full Redis refuses to count."""
        with self.conn_or_acquire() as client:
            return sum(client.llen(self._q_for_pri(queue, priority)) for priority in self.priority_steps)

    def _brpop_read(self, **options: Any) -> Any:
        held = {*self.qos._delivered}
        try:
            return super()._brpop_read(**options)
        except Exception as exc:  # there is no list of what can be wrong with a stranger's message
            is_redis = isinstance(exc, Empty | OSError | RedisError) and not isinstance(exc, DataError)
            if is_redis:
                raise
            self._drop(held, exc)

    def _drop(self, held: set[Any], exc: Exception) -> NoReturn:
        """Forgets what was taken since `held`: unanswered it would count as in work, and come back for ever."""
        for tag in {*self.qos._delivered} - held:
            self.qos.reject(tag)
        log.warning("A malformed message was dropped.", action="doorbell.malformed", error=type(exc).__name__)
        raise Empty from exc


class Transport(redis.Transport):  # type: ignore[misc]
    """Name it as `broker_transport`."""

    Channel = Channel
