"""Groups waiting requests into batches for engines that do not batch by themselves."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Generic, Protocol, TypeVar

from sluice_schemas.errors import EngineDead
from sluice_worker.engine.request import Completion

Outcome = Completion | BaseException


class Job(Protocol):
    """A request as an engine prepared it: its lengths, all that batching needs, and the future of its answer."""

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def future(self) -> "Future[Completion]": ...


J = TypeVar("J", bound=Job)


def cost(job: Job) -> int:
    """Tokens of the prompt and of the reserved answer."""
    return job.prompt_tokens + job.max_tokens


def pick(waiting: Sequence[J], *, budget_tokens: int) -> list[J]:
    """The next batch: the oldest request, and those nearest to it in length while the padded batch fits the budget.

    A padded batch takes its longest prompt and its longest answer for each of its members. The oldest goes first
    whatever its length, so none starves.
    """
    oldest = waiting[0]
    longest_prompt, longest_answer = oldest.prompt_tokens, oldest.max_tokens
    batch = [oldest]
    for each in sorted(waiting[1:], key=lambda other: abs(cost(other) - cost(oldest))):
        longest_prompt = max(longest_prompt, each.prompt_tokens)
        longest_answer = max(longest_answer, each.max_tokens)
        if (len(batch) + 1) * (longest_prompt + longest_answer) > budget_tokens:
            break
        batch.append(each)
    return sorted(batch, key=lambda each: each.prompt_tokens)


class MicroBatcher(Generic[J]):
    """A thread that runs batches through `run`, which gives one outcome for each job and may stop on cancelled ones.

    An idle engine starts at once. After a batch it waits `linger_s` at most, so that the threads which just got their
    answers can hand in their next requests. When a batch fails as a whole its requests run again one by one, so that
    only the bad one fails. `EngineDead` from `run` ends the batcher.
    """

    def __init__(
        self, run: Callable[[Sequence[J]], Sequence[Outcome]], *, budget_tokens: int, linger_s: float = 0.004
    ) -> None:
        self._run = run
        self._budget_tokens = budget_tokens
        self._linger_s = linger_s
        self._waiting: list[J] = []
        self._changed = threading.Condition()
        self._dead: EngineDead | None = None
        self._thread = threading.Thread(target=self._loop, name="micro-batcher", daemon=True)
        self._thread.start()

    def submit(self, jobs: Sequence[J]) -> None:
        """Queues jobs together; their futures fail with `EngineDead` once the engine is closed or dead."""
        with self._changed:
            if not self._dead:
                self._waiting += jobs
                self._changed.notify()
                return
        for each in jobs:
            settle(each.future, self._dead)

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
            taken = {id(each) for each in batch}
            self._waiting = [each for each in self._waiting if id(each) not in taken]
        if wanted := [each for each in batch if not each.future.cancelled()]:
            for each, outcome in zip(wanted, self._outcomes(wanted), strict=True):
                settle(each.future, outcome)

    def _outcomes(self, jobs: Sequence[J]) -> Sequence[Outcome]:
        if self._dead:
            return [self._dead] * len(jobs)
        try:
            outcomes = self._run(jobs)
            if len(outcomes) != len(jobs):
                raise RuntimeError(f"The engine gave {len(outcomes)} answers to {len(jobs)} requests.")
            return outcomes
        except EngineDead as dead:
            self._end(dead)
            return [dead] * len(jobs)
        except Exception as exc:  # whatever a model raises: only the request that causes it may fail
            if len(jobs) == 1:
                return [exc]
            return [outcome for job in jobs for outcome in self._outcomes([job])]

    def _end(self, dead: EngineDead) -> None:
        with self._changed:
            self._dead = self._dead or dead
            left, self._waiting = self._waiting, []
            self._changed.notify()
        for each in left:
            settle(each.future, self._dead)


def settle(future: "Future[Completion]", outcome: Outcome) -> None:
    """Ends a future; one that was cancelled in the meantime stays so."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(outcome, Completion):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)
