"""`sluice` commands as processes of their own, and a look at what they leave behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice_worker.client import SLUICE

START_S = 90.0


@dataclass
class Running:
    """A started process. Its output goes to a file, so that it never waits for a reader."""

    process: "subprocess.Popen[bytes]"
    log: Path
    ready: Path

    def said(self) -> str:
        return self.log.read_text()

    def await_ready(self) -> "Running":
        until(lambda: self.ready.exists() or self.process.poll() is not None, START_S)
        assert self.process.poll() is None, self.said()
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def started(folder: Path, *arguments: str, **settings: str) -> Iterator[Running]:
    """`sluice` with arguments and SLUICE_ settings (named without the prefix); killed at the end of the block.

    It works in `folder`. A command that takes work gets a `--ready-file`.
    """
    serial = len([*folder.glob("*.said")])
    log, ready = folder / f"{serial}.said", folder / f"{serial}.ready"
    takes_work = arguments[0] in ("worker", "deliver", "trainer", "beat")
    # Who runs the tests may ignore signals, as nohup does, and children inherit that.
    answering = ("env", "--default-signal=HUP,INT,TERM")
    told = ("--ready-file", str(ready)) if takes_work else ()
    command = [*answering, *SLUICE, *arguments, *told]
    environment = {**os.environ, "COLUMNS": "80", **{f"SLUICE_{name.upper()}": each for name, each in settings.items()}}
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield Running(process, log, ready)
    finally:
        process.kill()
        process.wait()


def ran(url: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A `sluice` command on a Redis, to its end, in a terminal of 80 columns."""
    told = {**os.environ, "SLUICE_REDIS_URL": url, "COLUMNS": "80", **environment}
    return subprocess.run([*SLUICE, *arguments], env=told, capture_output=True, text=True, timeout=60)


def until(is_so: Callable[[], bool], timeout_s: float = 30.0) -> None:
    ends = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < ends, "it did not come about in time"
        time.sleep(0.02)


def left_in(folder: Path) -> list[str]:
    """The command lines of all processes that work in a folder: named in their arguments, or with a file open there."""
    here = os.fsencode(folder)
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes()
            opened = [os.readlink(each) for each in (process / "fd").iterdir()]
        except OSError:
            # It has ended since.
            continue
        if here in command or any(os.fsencode(each).startswith(here) for each in opened):
            found.append(command.replace(b"\0", b" ").decode())
    return found
