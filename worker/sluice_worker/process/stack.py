"""The whole of Sluice on one machine: Redis, an extraction worker and a delivering worker as child processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from sluice_schemas.errors import Unavailable
from sluice_worker.process import redis_server

log = structlog.get_logger()

READY_S = 120.0
STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Child:
    """One process of the stack."""

    name: str
    process: "subprocess.Popen[bytes]"


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs, and where its Redis is."""

    redis_url: str
    children: tuple[Child, ...]

    def dead(self) -> Child | None:
        """A child that ended by itself, if there is one."""
        return next((child for child in self.children if child.process.poll() is not None), None)


@contextmanager
def running(folder: Path, *, redis_url: str | None, environment: Mapping[str, str]) -> Iterator[Stack]:
    """Starts everything, logs under `folder`, and stops it all at the end, whatever happens in between.

    Without `redis_url` a Redis from the wheel is started, append-only, with its data in `folder`. Workers that do not
    come up raise `Unavailable` with the name of their log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    children: list[Child] = []
    try:
        if redis_url is None:
            server, redis_url = redis_server.start(folder / "redis")
            children.append(Child("redis", server))
        environment = {**environment, "SLUICE_REDIS_URL": redis_url}
        children += [_start(role, folder, environment) for role in ("worker", "deliver")]
        for child in children[-2:]:
            _await(child, folder)
        yield Stack(redis_url, tuple(children))
    finally:
        # Redis goes last: the workers give back what they hold.
        for child in reversed(children):
            _stop(child)


def _start(role: str, folder: Path, environment: Mapping[str, str]) -> Child:
    ready = folder / f"{role}.ready"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sluice_producer", role, "--ready-file", str(ready)]
    with (folder / f"{role}.log").open("ab") as log_file:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stderr=log_file,
            stdout=log_file,
            start_new_session=True,
        )
    return Child(role, process)


def _await(child: Child, folder: Path) -> None:
    deadline = time.monotonic() + READY_S
    while not (folder / f"{child.name}.ready").exists():
        if child.process.poll() is not None or time.monotonic() > deadline:
            said = (folder / f"{child.name}.log").read_text(errors="replace").strip().splitlines()
            raise Unavailable(f"The {child.name} process did not start: {said[-1] if said else 'it said nothing'}")
        time.sleep(0.05)


def _stop(child: Child) -> None:
    if child.process.poll() is not None:
        return
    child.process.send_signal(signal.SIGTERM)
    try:
        child.process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        log.warning("A process did not stop in time and is killed.", action="stack.killed", process=child.name)
        # The group, not the process: an engine may have children of its own.
        os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
