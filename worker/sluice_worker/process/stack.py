"""The whole of Sluice on one machine: Redis, a worker, a deliverer, perhaps a knowledge base, as child processes."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from sluice_schemas.errors import Conflict, Unavailable
from sluice_worker.client import SLUICE
from sluice_worker.process import knowledge, redis_server

log = structlog.get_logger()

ROLES: Mapping[str, Sequence[str]] = {"worker": ("worker",), "deliver": ("deliver",)}
"""The commands that run beside Redis."""
LEARNING: Mapping[str, Sequence[str]] = {"trainer": ("trainer",), "beat": ("beat",)}
"""Those that make labels into better adapters."""
REDIS = "redis"
READY_S = 120.0
GRACE_S = "10"
"""On one's own machine Ctrl-C should not take as long as a production worker may."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process of the stack."""

    name: str
    process: "subprocess.Popen[bytes]"


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs, and where its Redis, its labels and its knowledge base are."""

    redis_url: str
    children: tuple[Child, ...]
    labels_url: str
    knowledge_url: str | None = None

    def dead(self) -> Child | None:
        """A child that ended by itself, if there is one."""
        return next((child for child in self.children if child.process.poll() is not None), None)


@contextmanager
def running(
    folder: Path,
    *,
    redis_url: str | None,
    environment: Mapping[str, str],
    roles: Mapping[str, Sequence[str]] = ROLES,
    knowledge_port: int | None = None,
) -> Iterator[Stack]:
    """Starts everything, logs under `folder`, and stops it all at the end, whatever happens in between.

    Without `redis_url` a Redis from the wheel is started, append-only, with its data in `folder`. With a
    `knowledge_port`, where 0 takes a free one, a knowledge base is the endpoint `knowledge`. What does not come up
    raises `Unavailable` with the name of its log; a folder in use raises `Conflict`.
    """
    environment = {"SLUICE_GRACE_S": GRACE_S, **_places(folder), **environment}
    roles = {**roles}
    if knowledge_port is not None:
        environment = knowledge.environment(environment)
        roles[knowledge.NAME] = knowledge.command(folder, knowledge_port)
    children: list[Child] = []
    with alone(folder) as lock:
        try:
            if redis_url is None:
                server, redis_url = redis_server.start(folder / "redis", lock=lock)
                children.append(Child(REDIS, server))
            environment = {**environment, "SLUICE_REDIS_URL": redis_url}
            for role, command in roles.items():
                children.append(_start(role, command, folder, environment))
            for child in children[-len(roles) :]:
                _await(child, folder)
            knowledge_url = None
            if knowledge_port is not None:
                knowledge_url = (folder / f"{knowledge.NAME}.ready").read_text().strip()
                knowledge.register(redis_url, knowledge_url)
            yield Stack(redis_url, tuple(children), environment["SLUICE_LABELS_URL"], knowledge_url)
        finally:
            _stop(children, patience_s=_patience_s(environment["SLUICE_GRACE_S"]))


def _places(folder: Path) -> dict[str, str]:
    """Where the learning loop keeps its own, unless the environment says otherwise."""
    return {
        "SLUICE_LABELS_URL": f"sqlite:///{folder / 'labels.db'}",
        "SLUICE_RUNS_DIR": str(folder / "runs"),
        "SLUICE_ADAPTERS_URL": f"file://{folder / 'adapters'}",
    }


@contextmanager
def alone(folder: Path) -> Iterator[int]:
    """Keeps a folder for this process until the block ends; gives the locked file. `Conflict` when it is in use."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Conflict(f"Sluice already runs in {folder}. Stop it there, or choose another folder.") from exc
        yield lock.fileno()


def end_like_interrupt() -> None:
    """Lets a supervisor's SIGTERM and a closed terminal end it like Ctrl-C: all is stopped in order."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _start(role: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Child:
    ready = folder / f"{role}.ready"
    ready.unlink(missing_ok=True)
    command = [*redis_server.bound_to_parent(), *SLUICE, *command]
    with (folder / f"{role}.log").open("ab") as log_file:
        process = subprocess.Popen(
            [*command, "--ready-file", str(ready)],
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
        ended = child.process.poll() is not None
        if ended or time.monotonic() > deadline:
            log_file = folder / f"{child.name}.log"
            said = log_file.read_text(errors="replace").strip().splitlines() or ["(nothing)"]
            fault = "ended before it was ready" if ended else f"was not ready after {READY_S:.0f} s"
            raise Unavailable(f"The {child.name} process {fault}. The last line of {log_file}: {said[-1]}")
        time.sleep(0.05)


def _stop(children: Sequence[Child], *, patience_s: float) -> None:
    """Redis goes last: the workers give back what they hold. A second Ctrl-C kills what is left."""
    workers = [child for child in children if child.name != REDIS]
    try:
        for group in (workers, [child for child in children if child not in workers]):
            for child in group:
                child.process.terminate()
            for child in group:
                _await_end(child, patience_s)
    except KeyboardInterrupt:
        for child in children:
            _kill(child)
        for child in children:
            child.process.wait()
        raise


def _await_end(child: Child, patience_s: float) -> None:
    try:
        child.process.wait(patience_s)
    except subprocess.TimeoutExpired:
        log.warning("A process did not stop in time and is killed.", action="stack.killed", process=child.name)
        _kill(child)
        child.process.wait()


def _kill(child: Child) -> None:
    if child.process.poll() is None:
        # The group, not the process: an engine may have children of its own.
        os.killpg(child.process.pid, signal.SIGKILL)


def _patience_s(grace_s: str) -> float:
    try:
        return float(grace_s) + 10.0
    except ValueError:
        # The workers refuse to start with it.
        return 10.0
