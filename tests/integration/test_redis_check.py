"""What is looked at before a worker starts, and which of it keeps it from starting."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis_server import RedisServer
from structlog.testing import capture_logs

from sluice_schemas.errors import Misconfigured
from sluice_schemas.ledger import connect
from sluice_worker.process.redis_check import Finding, demand, findings

MIB = 1 << 20


@pytest.fixture
def ops(own_redis: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(own_redis.url) as client:
        yield client


def found(redis: Redis, name: str, *, ahead_s: float = 0.0) -> Finding:
    (finding,) = [each for each in findings(redis, clock=lambda: time.time() + ahead_s) if each.name == name]
    return finding


def test_memory(ops: Redis) -> None:
    assert found(ops, "redis memory").found == "no maxmemory"
    ops.setrange("ballast", 40 * MIB, "x")
    used_bytes = ops.info("memory")["used_memory"]
    ops.config_set("maxmemory", int(used_bytes / 0.8))
    assert found(ops, "redis memory").is_ok
    ops.config_set("maxmemory", int(used_bytes / 0.95))
    full = found(ops, "redis memory")
    assert (full.is_ok, full.is_fatal) == (False, False)
    assert full.found.endswith(f" of {used_bytes / 0.95 / MIB:.0f} MiB")
    assert "Raise maxmemory" in full.advice


# By how much this machine's clock is ahead; whether that is well; what is told.
CLOCKS = [
    (0.0, True, "0.0 s "),
    (0.8, True, "0.8 s ahead of"),
    (1.5, False, "1.5 s ahead of"),
    (-90, False, "90.0 s behind"),
]


@pytest.mark.parametrize(("ahead_s", "is_ok", "told"), CLOCKS)
def test_clock(ops: Redis, ahead_s: float, is_ok: bool, told: str) -> None:
    finding = found(ops, "clock", ahead_s=ahead_s)
    assert (finding.is_ok, finding.is_fatal) == (is_ok, False)
    assert finding.found.startswith(told)


def test_slow_answer_is_no_wrong_clock(ops: Redis) -> None:
    asked = time.time()
    readings = iter((asked, asked + 3.0))
    finding = next(each for each in findings(ops, clock=lambda: next(readings)) if each.name == "clock")
    assert finding.is_ok, "of three seconds on the way nobody knows which half they were"


def test_full_redis_and_wrong_clock_are_logged_and_stop_no_worker(ops: Redis) -> None:
    ops.config_set("maxmemory", 1)
    with capture_logs() as logs:
        demand(ops, clock=lambda: time.time() + 9)
    assert [(each["log_level"], each["action"], each["check"]) for each in logs] == [
        ("warning", "redis.doubtful", "redis memory"),
        ("warning", "redis.doubtful", "clock"),
    ]
    assert "clock is 9.0 s ahead of Redis. Run NTP" in logs[1]["event"]


def test_redis_that_loses_documents_stops_a_worker_and_nothing_is_left_unsaid(ops: Redis) -> None:
    ops.config_set("maxmemory", 1)
    ops.config_set("maxmemory-policy", "allkeys-lru")
    with (
        capture_logs() as logs,
        pytest.raises(Misconfigured, match=r"^redis eviction is allkeys-lru.*others drop jobs\.$"),
    ):
        demand(ops)
    assert [each["check"] for each in logs] == ["redis memory"]


# What an ACL forgot.
ACLS = [
    pytest.param("resetkeys ~sluice:*", "no permissions to access", id="keys of the ledger"),
    pytest.param("allkeys -evalsha", "'evalsha' command", id="scripts"),
    pytest.param("allkeys -exists", "can't run this command", id="a command within a script"),
    pytest.param("allkeys -time", "'time' command", id="clock"),
    pytest.param("allkeys -info", "'info' command", id="info"),
]


@pytest.mark.parametrize(("rule", "said"), ACLS)
def test_user_that_may_not_do_enough(own_redis: RedisServer, ops: Redis, rule: str, said: str) -> None:
    owner: Any = ops  # redis-py leaves `execute_command` untyped
    owner.execute_command("ACL", "SETUSER", "u", "on", ">p", "allkeys", "+@all", *rule.split())
    with pytest.raises(Misconfigured) as refused:
        demand(connect(own_redis.url.replace("://", "://u:p@")))
    assert said in str(refused.value)
    assert str(refused.value).endswith("Give it the ACL in Sluice's README.")
