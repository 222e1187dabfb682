"""What the tests on vLLM share: tiny models, and vLLM's own server on the CPU."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tiny_adapters
import tiny_llama

from sluice_worker.process.redis_server import free_port

START_S = 180.0


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def adapters(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    made = tmp_path_factory.mktemp("adapters")
    return tiny_adapters.make(folder, made / "a", seed=1), tiny_adapters.make(folder, made / "b", seed=2)


class Served:
    """vLLM's server of OpenAI's kind with the tiny model, as a process."""

    def __init__(self, folder: Path, log: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/v1"
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
        command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--api-key", "sesame"]
        command += ["--enforce-eager", "--enable-lora", "--max-lora-rank", "16", "--generation-config", "vllm"]
        command += ["--structured-outputs-config", '{"backend": "guidance", "disable_any_whitespace": true}']
        environment = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
        with log.open("wb") as said:
            self.process = subprocess.Popen(command, env=_environment(environment), stdout=said, stderr=said)
        self._log = log

    def await_ready(self) -> "Served":
        ends = time.monotonic() + START_S
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                if httpx.get(self.url.replace("/v1", "/health")).is_success:
                    return self
            except httpx.TransportError:
                time.sleep(0.3)
        raise AssertionError(self._log.read_text()[-3000:])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def _environment(added: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **added, "VLLM_NO_USAGE_STATS": "1"}


@pytest.fixture(scope="session")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(folder, tmp_path_factory.mktemp("server") / "server.log")
    try:
        yield server.await_ready()
    finally:
        server.stop()
