"""vLLM's own server of OpenAI's kind on the CPU, as a process."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from sluice_worker.process.redis_server import free_port

START_S = 180.0
KEY = "sesame"


class VllmServer:
    """Serves the model of one folder as `tiny`, to those who know the key."""

    def __init__(self, folder: Path, log: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/v1"
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
        command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY]
        command += [
            "--dtype",
            "float32",
            "--enforce-eager",
            "--enable-lora",
            "--max-loras",
            "3",
            "--max-lora-rank",
            "16",
            "--generation-config",
            "vllm",
        ]
        command += ["--structured-outputs-config", '{"backend": "guidance", "disable_any_whitespace": true}']
        environment = {
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }
        with log.open("wb") as said:
            self.process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=said, stderr=said)
        self._log = log

    def await_ready(self) -> "VllmServer":
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
