"""The micro-batcher: who is picked, who fails, and that nobody waits for ever."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_schemas.errors import BadInput, EngineDead
from sluice_worker.engine.microbatch import MicroBatcher, Outcome, pick
from sluice_worker.engine.request import Completion

BUDGET = 100


@dataclass(frozen=True)
class Job:
    text: str
    prompt_tokens: int = 1
    max_tokens: int = 5
    future: "Future[Completion]" = field(default_factory=Future)


def hand_in(batcher: MicroBatcher[Job], job: Job) -> "Future[Completion]":
    batcher.submit([job])
    return job.future


def waiting(prompt_tokens: int, max_tokens: int = 5) -> Job:
    return Job("x", prompt_tokens, max_tokens)


def echo(jobs: Sequence[Job]) -> list[Outcome]:
    return [Completion(each.text, (), True, 1) for each in jobs]


class Gate:
    """An engine whose batches wait until they are let through; `batches` are the texts it was given."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self._let = threading.Semaphore(0)

    def __call__(self, jobs: Sequence[Job]) -> list[Outcome]:
        self.batches.append([each.text for each in jobs])
        self.entered.release()
        assert self._let.acquire(timeout=10)
        return echo(jobs)

    def let(self, batches: int = 1) -> None:
        self._let.release(batches)


def test_the_oldest_goes_whatever_it_costs() -> None:
    huge = waiting(10 * BUDGET)
    assert pick([huge, waiting(1), waiting(2)], budget_tokens=BUDGET) == [huge]


def test_those_nearest_in_length_go_along() -> None:
    oldest, near, nearer, far = waiting(20), waiting(28), waiting(18), waiting(70)
    assert pick([oldest, far, near, nearer], budget_tokens=BUDGET) == [nearer, oldest, near]


def test_a_row_is_padded_to_the_longest_prompt_and_the_longest_answer() -> None:
    """Equal sums do not fit together when one has the long prompt and the other the long answer."""
    assert len(pick([waiting(50, 5), waiting(5, 50)], budget_tokens=110)) == 1
    assert len(pick([waiting(50, 5), waiting(50, 5)], budget_tokens=110)) == 2


lengths = st.tuples(st.integers(1, 300), st.integers(1, 60))


@given(st.lists(lengths, min_size=1, max_size=40))
def test_every_request_is_served_in_order_of_age_within_the_budget(given_lengths: list[tuple[int, int]]) -> None:
    left = [waiting(*each) for each in given_lengths]
    rounds = 0
    while left:
        batch = pick(left, budget_tokens=BUDGET)
        rounds += 1
        assert left[0] in batch, "the oldest would starve"
        assert len({id(each) for each in batch}) == len(batch)
        padded = max(each.prompt_tokens for each in batch) + max(each.max_tokens for each in batch)
        assert len(batch) == 1 or len(batch) * padded <= BUDGET
        left = [each for each in left if each not in batch]
    assert rounds <= len(given_lengths)


def test_an_idle_engine_starts_at_once_though_it_would_linger() -> None:
    batcher = MicroBatcher(echo, budget_tokens=BUDGET, linger_s=60)
    started = time.monotonic()
    assert hand_in(batcher, Job("a")).result(timeout=10).text == "a"
    assert time.monotonic() - started < 5


def test_what_is_handed_in_together_runs_together_on_an_idle_engine() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate, budget_tokens=BUDGET)
    jobs = [Job(text) for text in "abc"]
    batcher.submit(jobs)
    gate.let()
    assert [each.future.result(timeout=10).text for each in jobs] == ["a", "b", "c"]
    assert gate.batches == [["a", "b", "c"]]
    batcher.close()


def test_after_a_batch_it_lingers_so_that_the_next_are_more_than_one() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate, budget_tokens=BUDGET, linger_s=0.3)
    first = hand_in(batcher, Job("a"))
    gate.let(2)
    first.result(timeout=10)
    later = [hand_in(batcher, Job(text)) for text in "bc"]
    wait(later, timeout=10)
    assert gate.batches == [["a"], ["b", "c"]]
    batcher.close()


def test_what_waits_while_a_batch_runs_goes_into_the_next_one() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate, budget_tokens=BUDGET, linger_s=0)
    futures = [hand_in(batcher, Job("a"))]
    assert gate.entered.acquire(timeout=10)
    futures += [hand_in(batcher, Job(text)) for text in "bcd"]
    gate.let(2)
    assert [each.result(timeout=10).text for each in futures] == ["a", "b", "c", "d"]
    assert gate.batches == [["a"], ["b", "c", "d"]]
    batcher.close()


def picky(jobs: Sequence[Job]) -> list[Outcome]:
    if any(each.text == "bad" for each in jobs):
        raise BadInput("this one is bad")
    return echo(jobs)


def together(run: MicroBatcher[Job], texts: Sequence[str]) -> list["Future[Completion]"]:
    futures = [hand_in(run, Job(text)) for text in texts]
    wait(futures, timeout=10)
    return futures


def test_of_a_batch_that_fails_as_a_whole_only_the_bad_one_fails() -> None:
    batcher = MicroBatcher(picky, budget_tokens=BUDGET, linger_s=0.05)
    good, bad, other = together(batcher, ["good", "bad", "other"])
    assert (good.result().text, other.result().text) == ("good", "other")
    with pytest.raises(BadInput, match="this one is bad"):
        bad.result()
    assert together(batcher, ["next"])[0].result().text == "next"


def test_outcomes_that_are_errors_fail_their_own_request() -> None:
    batcher: MicroBatcher[Job] = MicroBatcher(lambda jobs: [BadInput("no") for _ in jobs], budget_tokens=BUDGET)
    with pytest.raises(BadInput, match="no"):
        hand_in(batcher, Job("a")).result(timeout=10)


def test_an_engine_that_gives_too_few_answers_leaves_nobody_waiting() -> None:
    batcher: MicroBatcher[Job] = MicroBatcher(lambda jobs: [], budget_tokens=BUDGET)
    for text in "ab":
        with pytest.raises(RuntimeError, match="0 answers to 1"):
            hand_in(batcher, Job(text)).result(timeout=10)


def test_a_dead_engine_ends_what_runs_what_waits_and_what_comes_later() -> None:
    entered, let = threading.Event(), threading.Event()

    def die(jobs: Sequence[Job]) -> list[Outcome]:
        entered.set()
        let.wait(10)
        raise EngineDead("the device is gone")

    batcher = MicroBatcher(die, budget_tokens=BUDGET)
    running = hand_in(batcher, Job("a"))
    assert entered.wait(10)
    left = [hand_in(batcher, Job("b")) for _ in range(3)]
    let.set()
    for future in [running, *left, hand_in(batcher, Job("c"))]:
        with pytest.raises(EngineDead, match="the device is gone"):
            future.result(timeout=10)
    batcher.close()


def test_death_while_a_failed_batch_is_run_one_by_one_stops_there() -> None:
    runs: list[int] = []
    ready = threading.Event()

    def die_alone(jobs: Sequence[Job]) -> list[Outcome]:
        ready.wait(10)
        runs.append(len(jobs))
        if len(jobs) > 1:
            raise RuntimeError("the batch fails")
        raise EngineDead("gone")

    batcher = MicroBatcher(die_alone, budget_tokens=3 * BUDGET, linger_s=0)
    futures = [hand_in(batcher, Job(text, max_tokens=1)) for text in "abcd"]
    ready.set()
    for future in futures:
        with pytest.raises(EngineDead):
            future.result(timeout=10)
    assert runs.count(1) == 1


def test_closing_lets_the_running_batch_end_and_fails_what_waits() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate, budget_tokens=BUDGET)
    running = hand_in(batcher, Job("a"))
    assert gate.entered.acquire(timeout=10)
    left = hand_in(batcher, Job("b"))
    threading.Timer(0.1, gate.let).start()
    batcher.close()
    assert running.result(timeout=0).text == "a"
    for future in (left, hand_in(batcher, Job("c"))):
        with pytest.raises(EngineDead, match="closed"):
            future.result(timeout=0)
    batcher.close()


def test_a_request_cancelled_while_it_waits_is_not_run() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate, budget_tokens=BUDGET)
    running = hand_in(batcher, Job("a"))
    assert gate.entered.acquire(timeout=10)
    dropped, kept = (hand_in(batcher, Job(text)) for text in ("dropped", "kept"))
    assert dropped.cancel()
    gate.let(2)
    assert (running.result(timeout=10).text, kept.result(timeout=10).text) == ("a", "kept")
    assert gate.batches == [["a"], ["kept"]]
    batcher.close()


def test_a_request_cancelled_while_it_runs_stays_so_and_disturbs_no_other() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate, budget_tokens=BUDGET, linger_s=0)
    blocker = hand_in(batcher, Job("a"))
    assert gate.entered.acquire(timeout=10)
    dropped, kept = hand_in(batcher, Job("dropped")), hand_in(batcher, Job("kept"))
    gate.let()
    blocker.result(timeout=10)
    assert gate.entered.acquire(timeout=10)
    assert dropped.cancel()
    gate.let()
    assert kept.result(timeout=10).text == "kept"
    assert dropped.cancelled()
    batcher.close()


def test_a_cancelled_request_keeps_nobody_else_from_their_end() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate, budget_tokens=BUDGET)
    hand_in(batcher, Job("a"))
    assert gate.entered.acquire(timeout=10)
    dropped, left = (hand_in(batcher, Job("b")) for _ in range(2))
    dropped.cancel()
    gate.let()
    batcher.close()
    with pytest.raises(EngineDead):
        left.result(timeout=1)
    with pytest.raises(CancelledError):
        dropped.result(timeout=1)


def test_many_threads_each_get_their_own_answer() -> None:
    batcher = MicroBatcher(echo, budget_tokens=BUDGET, linger_s=0)
    answers: dict[str, str] = {}

    def ask(name: str) -> None:
        for i in range(50):
            text = f"{name}-{i}"
            answers[text] = hand_in(batcher, Job(text, i % 40 + 1)).result(timeout=10).text

    threads = [threading.Thread(target=ask, args=(str(i),)) for i in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(answers) == 800
    assert all(text == answer for text, answer in answers.items())
