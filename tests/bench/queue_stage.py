"""What the benchmarks of the queue stand on: a Redis, processes that rest while others are measured, and a client."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from redis_server import WHEEL, RedisServer
from sluice_processes import Running, until

from sluice_producer import Sluice
from sluice_schemas.document import Document
from sluice_schemas.ledger import connect
from sluice_worker.ledger import RedisLedger
from sluice_worker.process.redis_check import demand

START_S = 180.0
END_S = 300.0
GRACE_S = 20.0
LOOK_EVERY_S = 0.01
BOUND = ("setpriv", "--pdeathsig", "KILL", "--")
"""A process that rests hears no other signal: it must not outlive a benchmark that was killed."""
SLUICE = (sys.executable, "-m", "sluice_producer", "worker", "--ready-file")
TESTS = Path(__file__).parents[1]


@contextmanager
def redis_server(folder: Path) -> Iterator[Callable[[int], str]]:
    """The wheel's Redis, append-only; gives the URL of each of its databases, one for each that must not meet."""
    server = RedisServer(str(WHEEL), folder)
    server.start()
    try:
        demand(connect(server.url))
        yield lambda number: f"{server.url.removesuffix('/0')}/{number}"
    finally:
        server.kill()


@contextmanager
def resting(folder: Path, name: str, *command: str | Path, **environment: str) -> Iterator[Running]:
    """Starts `command READY_FILE`, waits until it has written that file, and stops it with SIGSTOP; see `awake`."""
    with started(folder, name, *command, folder / f"{name}.ready", **environment) as running:
        until(lambda: running.ready.exists() or running.process.poll() is not None, START_S)
        pause(running)
        yield running


@contextmanager
def started(folder: Path, name: str, *command: str | Path, **environment: str) -> Iterator[Running]:
    """A process with a session of its own, so that its children rest and end with it."""
    log = folder / f"{name}.said"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*BOUND, *map(str, command)],
            env=surroundings(**environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield Running(process, log, folder / f"{name}.ready")
    finally:
        _end(process)


def surroundings(**added: str) -> dict[str, str]:
    """The environment of a measured process: this package can be imported there, whatever else can."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "VLLM_NO_USAGE_STATS": "1", "OMP_WAIT_POLICY": "passive", **added}


@contextmanager
def awake(running: Running) -> Iterator[None]:
    """Lets a resting process and its children run until the block ends."""
    os.killpg(running.process.pid, signal.SIGCONT)
    try:
        yield
    finally:
        pause(running)


def pause(running: Running) -> None:
    """Stops a process and its children. One that has ended by itself ends the benchmark."""
    if (code := running.process.poll()) is not None:
        raise SystemExit(f"{running.log.stem} ended with code {code}: {running.said()[-2000:]}")
    os.killpg(running.process.pid, signal.SIGSTOP)


class Service:
    """Sluice as its users have it: a client, and a look at how many documents are done."""

    def __init__(self, url: str) -> None:
        self.client = Sluice(url)
        self.ledger = RedisLedger(connect(url))

    def answer(self, documents: Sequence[tuple[Document, str]]) -> list[str]:
        """Submits documents with their schemas' refs and waits for the last of them; the ids of their jobs."""
        before = self.done()
        jobs = [self.client.submit(document, schema=ref).id for document, ref in documents]
        self.await_done(before + len(jobs))
        return jobs

    def requests(self, jobs: Sequence[str]) -> int:
        """How many requests to the engine these jobs took."""
        return sum(self.client.result(job).usage.requests for job in jobs)

    def done(self) -> int:
        """Documents that succeeded. A dead one ends the benchmark: its figures would say nothing."""
        counts = self.ledger.counts()
        if counts.dead:
            raise SystemExit(f"A document died: {self.ledger.dead_letters(1)[0].reason}")
        return counts.ended.get("succeeded", 0)

    def await_done(self, count: int) -> None:
        """Until `count` documents have succeeded since the beginning."""
        until_quickly(lambda: self.done() >= count)


def until_quickly(is_so: Callable[[], bool]) -> None:
    """Looks a hundred times a second. Raises `SystemExit` after five minutes."""
    ends = time.monotonic() + END_S
    while not is_so():
        if time.monotonic() > ends:
            raise SystemExit("The measured process does not get on; nothing can be said.")
        time.sleep(LOOK_EVERY_S)


def seconds(work: Callable[[], object]) -> float:
    """How long it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        os.killpg(process.pid, signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
