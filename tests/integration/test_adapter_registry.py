"""The registry in Redis keeps the contract, and says when Redis is gone."""

import pytest
from redis import Redis
from redis_server import RedisServer
from registry_contract import A, RegistryContract, record

from sluice_schemas.errors import Unavailable
from sluice_schemas.ledger import connect
from sluice_worker.adapters.redis_registry import RedisAdapterRegistry


class TestRedis(RegistryContract):
    @pytest.fixture
    def registry(self, redis: Redis) -> RedisAdapterRegistry:
        return RedisAdapterRegistry(redis)


def test_it_outlives_a_killed_redis(own_redis: RedisServer) -> None:
    registry = RedisAdapterRegistry(connect(own_redis.url))
    registry.register(record(A))
    registry.promote("*", A, by="x")
    own_redis.kill()
    for question in (registry.aliases, lambda: registry.promote("*", "base", by="x"), registry.history):
        with pytest.raises(Unavailable, match="as they were"):
            question()
    own_redis.start()
    assert registry.aliases()["*"].champion == A
