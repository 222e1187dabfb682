"""The registry in Redis keeps the contract, survives lost answers, and says when Redis is gone."""

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError
from redis_server import RedisServer
from registry_contract import A, B, RegistryContract, record

from sluice_schemas.errors import BadInput, Unavailable
from sluice_schemas.ledger import connect
from sluice_worker.adapters.redis_registry import ALIASES, RedisAdapterRegistry


class TestRedis(RegistryContract):
    @pytest.fixture
    def registry(self, redis: Redis) -> RedisAdapterRegistry:
        return RedisAdapterRegistry(redis)


class Forgetful(Redis):
    """Loses the answer to one transaction, after Redis has made it."""

    forget_next = False

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        client = self

        class Losing(Pipeline):
            def execute(self, raise_on_error: bool = True) -> list[Any]:
                answer: list[Any] = super().execute(raise_on_error)
                if client.forget_next:
                    client.forget_next = False
                    raise ConnectionError("the answer is lost")
                return answer

        return Losing(self.connection_pool, self.response_callbacks, transaction, shard_hint)


CHANGES: dict[str, Callable[[RedisAdapterRegistry], object]] = {
    "register": lambda registry: registry.register(record("d" * 20)),
    "remove": lambda registry: registry.remove("c" * 20),
    "promote": lambda registry: registry.promote("*", B, by="x", expected=A),
    "rollback": lambda registry: registry.rollback("*", by="x"),
    "pin": lambda registry: registry.pin("*", by="x"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_whose_answer_is_lost_is_made_once(redis: Redis, redis_url: str, kind: str) -> None:
    client = Forgetful.from_url(redis_url)
    assert isinstance(client, Forgetful)
    registry = RedisAdapterRegistry(client)
    for digest in (A, B, "c" * 20):
        registry.register(record(digest))
    registry.promote("*", A, by="x")
    before, moves = registry.aliases()["*"].version, len(registry.history())
    client.forget_next = True
    CHANGES[kind](registry)
    assert not client.forget_next, "the answer was really lost"
    after = registry.aliases()["*"]
    assert after.version - before == (kind not in ("register", "remove"))
    assert after.champion == {"promote": B, "rollback": "base"}.get(kind, A)
    assert len(registry.history()) - moves == {"promote": 2, "rollback": 2, "pin": 1}.get(kind, 0)
    client.close()


def test_a_damaged_row_is_told(redis: Redis) -> None:
    redis.hset(ALIASES, "*", b'{"champion": 7}')
    with pytest.raises(BadInput, match=r"scope \* cannot be read"):
        RedisAdapterRegistry(redis).aliases()


def test_it_outlives_a_killed_redis(own_redis: RedisServer) -> None:
    registry = RedisAdapterRegistry(connect(own_redis.url), retry_s=0.2)
    registry.register(record(A))
    registry.promote("*", A, by="x")
    own_redis.kill()
    for question in (registry.aliases, lambda: registry.promote("*", "base", by="x"), registry.history):
        with pytest.raises(Unavailable, match="Check Redis"):
            question()
    own_redis.start()
    assert registry.aliases()["*"].champion == A
