"""What the tests on vLLM share: tiny models, and vLLM's own server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_adapters
import tiny_llama
from redis_server import BINARIES
from vllm_server import VllmServer


@pytest.fixture(scope="session")
def redis_binary() -> str:
    """One Redis will do: each start of vLLM takes half a minute."""
    return BINARIES[0]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def adapters(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    made = tmp_path_factory.mktemp("adapters")
    return tuple(tiny_adapters.make(folder, made / str(seed), seed=seed) for seed in (1, 2, 3))


@pytest.fixture(scope="session")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    server = VllmServer(folder, tmp_path_factory.mktemp("server") / "server.log")
    try:
        yield server.await_ready()
    finally:
        server.stop()
