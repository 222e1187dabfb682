"""A worker or deliverer as shipped, but for a scripted engine and what the environment plants in it.

`CHAOS_POINT=NAME:N` kills it (SIGKILL) when it comes by the fail point NAME for the N-th time; `CHAOS_DEFECT=NAME`
plants a defect; `CHAOS_CLOCK_S` sets its clock wrong; `CHAOS_FOLDER` is where the engine notes what it works on.
"""

import functools
import itertools
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import orjson
from chaos import defects

from sluice_schemas.errors import EngineDead
from sluice_worker.engine.request import Completion, Request
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.ledger import RedisLedger, RedisOutbox
from sluice_worker.process import deliverer, extractor
from sluice_worker.process.logs import configure
from sluice_worker.settings import Settings
from sluice_worker.work import Work

KILLS_WORKER, KILLS_ENGINE = "Poison for the worker.", "Poison for the engine."
POINTS = ("after_pop", "after_claim", "in_generation", "before_commit", "after_commit", "after_2xx")
ANSWER_S = (0.02, 0.12)
LONG_ANSWER_S = (0.1, 0.3)
"""With a defect planted: whoever is killed or frozen then holds work for certain."""


def main() -> None:
    role, ready = sys.argv[1], Path(sys.argv[2])
    configure("INFO")
    point, _, number = os.environ.get("CHAOS_POINT", "none:0").partition(":")
    die = Countdown(int(number))
    plant(point, die)
    if wrong_s := float(os.environ.get("CHAOS_CLOCK_S", "0")):
        right = time.time
        time.time = lambda: right() + wrong_s
    if defect := os.environ.get("CHAOS_DEFECT"):
        defects.plant(defect)
    settings = Settings.read()
    if role == "deliver":
        raise SystemExit(deliverer.run(settings, ready_file=ready))
    stop = die if point == "in_generation" else None
    raise SystemExit(extractor.run(settings, ready_file=ready, build=lambda _: Engine(stop)))


class Countdown:
    """Kills this process at its N-th call; with 0 never."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._calls = itertools.count(1)

    def __call__(self) -> None:
        if next(self._calls) == self._number:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)


def plant(point: str, die: Countdown) -> None:
    """Puts a fail point into the class that passes it."""

    def around(of: type, name: str, *, before: bool) -> None:
        real: Callable[..., Any] = getattr(of, name)

        @functools.wraps(real)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if before:
                die()
            answer = real(*args, **kwargs)
            if not before and answer is not None:
                die()
            return answer

        setattr(of, name, wrapped)

    match point:
        case "after_pop":
            around(Work, "run", before=True)
        case "after_claim":
            around(RedisLedger, "claim", before=False)
        case "before_commit":
            around(RedisLedger, "commit", before=True)
        case "after_commit":
            around(RedisLedger, "commit", before=False)
        case "after_2xx":
            around(RedisOutbox, "settle_deliveries", before=True)


class Engine(ScriptedEngine):
    """Answers after a while, one thread a request, and notes each that it begins in a file."""

    def __init__(self, die: Countdown | None) -> None:
        super().__init__(lambda prompt: orjson.dumps({"person": []}).decode())
        self._die = die
        self._notes = os.open(
            Path(os.environ["CHAOS_FOLDER"]) / f"engine-{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND
        )
        self._running: set[Future[Completion]] = set()
        self._is_dead = False

    def submit(self, request: Request) -> "Future[Completion]":
        future: Future[Completion] = Future()
        if self._is_dead:
            future.set_exception(EngineDead())
            return future
        self._running.add(future)
        text = request.prompt.text
        # A single write, which a kill cannot tear.
        os.write(self._notes, (text.partition("Document ")[2].partition(".")[0] + "\n").encode())
        threading.Thread(target=self._answer_later, args=(request, future), daemon=True).start()
        return future

    def _answer_later(self, request: Request, future: "Future[Completion]") -> None:
        if self._die is not None:
            self._die()
        if KILLS_WORKER in request.prompt.text:
            os.kill(os.getpid(), signal.SIGKILL)
        if KILLS_ENGINE in request.prompt.text:
            self._is_dead = True
            for each in [*self._running]:
                if not each.done():
                    each.set_exception(EngineDead("The engine process has ended."))
            return
        time.sleep(random.uniform(*(LONG_ANSWER_S if os.environ.get("CHAOS_DEFECT") else ANSWER_S)))
        self._running.discard(future)
        if not future.done() and future.set_running_or_notify_cancel():
            future.set_result(super().submit(request).result())


if __name__ == "__main__":
    main()
