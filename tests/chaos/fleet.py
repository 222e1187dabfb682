"""Workers and deliverers as processes, and a supervisor that starts again what ended, as systemd would."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "CHAOS_RUN"
TESTS = Path(__file__).parent.parent


@dataclass
class Slot:
    """A place for one process; `planted` are variables for the next one alone."""

    role: str
    environment: Mapping[str, str]
    planted: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    ready: Path | None = None
    starts: int = 0


class Fleet:
    """`workers` and `deliverers` processes of `chaos.worker`, each started again until `stop`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, workers: int, deliverers: int) -> None:
        self.folder = folder
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        inherited = {**os.environ, "PYTHONPATH": str(TESTS), MARK: self.mark, "CHAOS_FOLDER": str(folder)}
        self._environment = {**inherited, **environment}
        self.slots = [
            *(Slot("worker", self._environment) for _ in range(workers)),
            *(Slot("deliver", self._environment) for _ in range(deliverers)),
        ]
        self.exits: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def start(self, *, ready_s: float = 90.0) -> None:
        """Returns once all of them take work."""
        for slot in self.slots:
            self._spawn(slot)
        self._thread.start()
        assert self.wait_ready(ready_s), f"not ready after {ready_s:g} s; logs are in {self.folder}"

    def wait_ready(self, seconds: float) -> bool:
        """Waits until all of them take work; whether they do."""
        ends = time.monotonic() + seconds
        while not (is_ready := all(slot.ready and slot.ready.exists() for slot in self.slots)):
            if time.monotonic() > ends:
                break
            time.sleep(0.05)
        return is_ready

    def stop(self) -> None:
        """SIGTERM to all, and waits for them. May be called again."""
        self._stopped.set()
        self._thread.join()
        alive = [slot.process for slot in self.slots if slot.process and slot.process.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in alive:
            try:
                self.exits[process.wait(40)] += 1
            except subprocess.TimeoutExpired:
                process.kill()
                self.exits[process.wait()] += 1

    def kill(self, role: str, chance: random.Random, **planted: str) -> None:
        """SIGKILL to one of a role; its successor gets `planted`."""
        slot = chance.choice([each for each in self.slots if each.role == role])
        slot.planted.update(planted)
        self._send(slot, signal.SIGKILL)

    def freeze(self, seconds: float, chance: random.Random) -> None:
        """Stops one worker for a while, longer than its leases: it comes back as a zombie.

        It needs work to hold and somebody who takes that over, so all are given time to come up first.
        """
        self.wait_ready(30)
        slot = chance.choice([each for each in self.slots if each.role == "worker"])
        self._send(slot, signal.SIGSTOP)
        time.sleep(seconds)
        self._send(slot, signal.SIGCONT)

    def left_behind(self) -> list[str]:
        """The command lines of processes that came from this fleet and still run."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found

    def sweep_away(self) -> None:
        """Kills what was left behind, after the judge has seen it."""
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark:
                    process.kill()
            except psutil.Error:
                continue

    def _send(self, slot: Slot, number: int) -> None:
        with self._lock:
            if slot.process and slot.process.poll() is None:
                slot.process.send_signal(number)

    def _supervise(self) -> None:
        while not self._stopped.wait(0.1):
            for slot in self.slots:
                if slot.process and (code := slot.process.poll()) is not None:
                    self.exits[code] += 1
                    self._spawn(slot)

    def _spawn(self, slot: Slot) -> None:
        slot.starts += 1
        name = f"{slot.role}-{self.slots.index(slot)}"
        slot.ready = self.folder / f"{name}-{slot.starts}.ready"
        environment = {**slot.environment, **slot.planted}
        slot.planted.clear()
        with (self.folder / f"{name}.log").open("ab") as log, self._lock:
            slot.process = subprocess.Popen(
                [sys.executable, "-m", "chaos.worker", slot.role, str(slot.ready)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
