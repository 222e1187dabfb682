"""kombu's channel as a worker has it, with a stand-in for Redis that hands it one message."""

from contextlib import suppress
from functools import cache
from queue import Empty
from typing import Any

from kombu import Connection, Consumer, Queue
from redis import Redis

from sluice_schemas.queues import EXTRACT_QUEUE, EXTRACT_TASK
from sluice_worker.tasks import transport


class _Redis:
    """Answers BRPOP with one item, or fails. What is noted as unanswered, it encodes as redis-py would, and forgets."""

    connection = None

    def __init__(self) -> None:
        self.item: bytes | Exception = b""
        self._encoder: Any = Redis().get_encoder()

    def __enter__(self) -> "_Redis":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ping(self) -> bool:
        return True

    def parse_response(self, *_: object, **__: object) -> list[bytes]:
        if isinstance(self.item, Exception):
            raise self.item
        return [EXTRACT_QUEUE.encode(), self.item]

    def pipeline(self, *, transaction: bool = True) -> "_Redis":
        return self

    def zadd(self, _: str, scores: dict[Any, float]) -> "_Redis":
        return self._encoded(*scores)

    def hset(self, _: str, name: Any, value: Any) -> "_Redis":
        return self._encoded(name, value)

    def zrem(self, _: str, name: Any) -> "_Redis":
        return self._encoded(name)

    hdel = zrem

    def execute(self) -> None:
        pass

    def transaction(self, *_: object) -> None:
        """What was left unanswered goes back at the end of the process."""

    def _encoded(self, *values: Any) -> "_Redis":
        for value in values:
            self._encoder.encode(value)
        return self


class _Worker:
    """A consumer of our queue on our channel."""

    def __init__(self) -> None:
        self.redis = redis = _Redis()
        self.heard: list[str] = []

        class Channel(transport.Channel):
            def _create_client(self, asynchronous: bool = False) -> Any:
                return redis

        class Transport(transport.Transport):
            pass

        Transport.Channel = Channel
        self.channel = Connection("redis://", transport=Transport).channel()
        queues = [Queue(EXTRACT_QUEUE)]
        Consumer(self.channel, queues, on_message=self.start, accept=["json"], auto_declare=False).consume()

    def start(self, message: Any) -> None:
        """What Celery does first: it looks the task up by its name, and decodes the body."""
        self.heard.append({EXTRACT_TASK: EXTRACT_TASK}[message.headers["task"]])
        assert message.payload
        message.ack()


@cache
def _worker() -> _Worker:
    return _Worker()


def hear(item: bytes | Exception) -> list[str]:
    """The tasks that a worker would start on. Raises what Redis raises in place of a message, and nothing else.

    A message that starts no task may leave nothing behind.
    """
    worker = _worker()
    worker.redis.item, worker.heard = item, []
    with suppress(Empty):
        worker.channel._brpop_read()
    worker.channel.qos._flush()
    assert not worker.channel.qos._delivered, "it counts as in work for ever"
    return worker.heard
