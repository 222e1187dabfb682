"""Groups waiting requests into batches for engines that do not batch by themselves."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sluice_schemas.errors import EngineDead
from sluice_worker.engine.request import Completion

Outcome = Completion | BaseException


class Bounded(Protocol):
    """A request as an engine prepared it: all that batching needs to know is how long its answer may get."""

    @property
    def max_tokens(self) -> int: ...


R = TypeVar("R", bound=Bounded)


@dataclass(eq=False, slots=True)
class Waiting:
    """A request in the queue with its cost: tokens of the prompt and of the reserved answer."""

    request: Any
    prompt_tokens: int
    future: "Future[Completion]" = field(default_factory=Future)

    @property
    def cost(self) -> int:
        tokens: int = self.prompt_tokens + self.request.max_tokens
        return tokens


def pick(waiting: Sequence[Waiting], *, budget_tokens: int) -> list[Waiting]:
    """The next batch: the oldest request, and those nearest to it in length while the padded batch fits the budget.

    A padded batch takes its longest prompt and its longest answer for each of its members. The oldest goes first
    whatever its length, so none starves.
    """
    oldest = waiting[0]
    longest_prompt, longest_answer = oldest.prompt_tokens, oldest.request.max_tokens
    batch = [oldest]
    for each in sorted(waiting[1:], key=lambda other: abs(other.cost - oldest.cost)):
        longest_prompt = max(longest_prompt, each.prompt_tokens)
        longest_answer = max(longest_answer, each.request.max_tokens)
        if (len(batch) + 1) * (longest_prompt + longest_answer) > budget_tokens:
            break
        batch.append(each)
    return sorted(batch, key=lambda each: each.prompt_tokens)


class MicroBatcher(Generic[R]):
    """A thread that runs batches through `run`, which gives one outcome for each request.

    An idle engine starts at once. After a batch it waits `linger_s` at most, so that the threads which just got their
    answers can hand in their next requests. When a batch fails as a whole its requests run again one by one, so that
    only the bad one fails. `EngineDead` from `run` ends the batcher.
    """

    def __init__(
        self, run: Callable[[Sequence[R]], Sequence[Outcome]], *, budget_tokens: int, linger_s: float = 0.004
    ) -> None:
        self._run = run
        self._budget_tokens = budget_tokens
        self._linger_s = linger_s
        self._waiting: list[Waiting] = []
        self._changed = threading.Condition()
        self._dead: EngineDead | None = None
        self._thread = threading.Thread(target=self._loop, name="micro-batcher", daemon=True)
        self._thread.start()

    def submit(self, request: R, *, prompt_tokens: int) -> "Future[Completion]":
        """Queues a request; fails with `EngineDead` once the engine is closed or dead."""
        waiting = Waiting(request, prompt_tokens)
        with self._changed:
            if self._dead:
                waiting.future.set_exception(self._dead)
            else:
                self._waiting.append(waiting)
                self._changed.notify()
        return waiting.future

    def close(self) -> None:
        """Lets the running batch end and fails what waits."""
        self._end(EngineDead("The engine was closed. Submit again: another worker will take it."))
        self._thread.join()

    def _loop(self) -> None:
        ended_at = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._dead)
            if self._dead:
                return
            time.sleep(max(0.0, ended_at + self._linger_s - time.monotonic()))
            self._serve()
            ended_at = time.monotonic()

    def _serve(self) -> None:
        with self._changed:
            if not self._waiting:
                return
            batch = pick(self._waiting, budget_tokens=self._budget_tokens)
            taken = set(batch)
            self._waiting = [each for each in self._waiting if each not in taken]
        running = [each for each in batch if each.future.set_running_or_notify_cancel()]
        if running:
            self._settle(running, self._outcomes([each.request for each in running]))

    def _outcomes(self, requests: Sequence[R]) -> Sequence[Outcome]:
        if self._dead:
            return [self._dead] * len(requests)
        try:
            outcomes = self._run(requests)
            if len(outcomes) != len(requests):
                raise RuntimeError(f"The engine gave {len(outcomes)} answers to {len(requests)} requests.")
            return outcomes
        except EngineDead as dead:
            self._end(dead)
            return [dead] * len(requests)
        except Exception as exc:  # whatever a model raises: only the request that causes it may fail
            if len(requests) == 1:
                return [exc]
            return [outcome for request in requests for outcome in self._outcomes([request])]

    def _settle(self, batch: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
        for each, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Completion):
                each.future.set_result(outcome)
            else:
                each.future.set_exception(outcome)

    def _end(self, dead: EngineDead) -> None:
        with self._changed:
            self._dead = self._dead or dead
            left, self._waiting = self._waiting, []
            self._changed.notify()
        for each in left:
            if each.future.set_running_or_notify_cancel():  # a cancelled one must not keep the rest from their end
                each.future.set_exception(self._dead)
