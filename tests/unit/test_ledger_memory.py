"""The twin in memory keeps the ledger's contract, and forgets what is over."""

import time
import uuid
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_contract import LedgerContract
from ledger_stage import QUICK, Stage, extraction
from sweep_contract import SweepContract

from sluice_schemas.errors import Lost, NotFound
from sluice_schemas.ledger import Claim, MemoryLedger, keys
from sluice_worker.ledger import backoff_s


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def a_stage() -> Stage:
    clock = Clock()
    ledger = MemoryLedger(clock=clock)
    ledger.set_limits(QUICK)
    return Stage(ledger, ledger, clock.wait)


class TestMemoryLedger(LedgerContract, SweepContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return a_stage()

    def test_ended_jobs_and_their_keys_are_forgotten(self, stage: Stage) -> None:
        claim = stage.claimed(endpoints=("kb",))
        (delivery,) = stage.worker.commit(claim, extraction(claim))
        post = stage.worker.claim_delivery(delivery, "w")
        assert post is not None
        stage.worker.delivered(post)
        stage.wait(QUICK.retention_s + 3601)
        with pytest.raises(NotFound):
            stage.producer.job(claim.job_id)
        assert stage.submit(text="Other").id != claim.job_id

    def test_patience_grows_with_the_backlog(self, stage: Stage) -> None:
        for n in range(500):
            stage.submit(key=str(n))
        stage.wait(QUICK.ring_after_s * 1.4)
        assert stage.sweep().doorbells == (), "with 500 queued a bell has half as much time again"
        stage.wait(QUICK.ring_after_s * 0.1)
        assert len(stage.sweep().doorbells) == 100


OPERATIONS = st.sampled_from(
    ["ring", "commit", "fail", "final", "release", "renew", "cancel", "replay", "wait", "sweep"]
)


@given(st.lists(OPERATIONS, max_size=40))
@settings(max_examples=200, deadline=None)
def test_whatever_happens_a_job_has_one_end_and_at_most_three_tries(operations: list[str]) -> None:
    stage = a_stage()
    job = stage.submit(endpoints=("kb",))
    claims: list[Claim] = []
    commits = 0
    for operation in operations:
        before = stage.producer.job(job.id)
        try:
            commits += step(stage, operation, job.id, claims)
        except (Lost, NotFound):
            assert stage.producer.job(job.id) == before, "a refusal changes nothing"
        after = stage.producer.job(job.id)
        if before.has_ended and operation != "replay":
            assert after == before, "an end is an end"
        assert after.attempts <= QUICK.max_tries
    assert (commits > 0) == (stage.producer.job(job.id).state == "succeeded")
    assert commits <= 1
    assert [claim.fence for claim in claims] == sorted({claim.fence for claim in claims})


def step(stage: Stage, operation: str, job_id: str, claims: list[Claim]) -> int:
    """Does one thing, with the oldest or the newest claim; how many results it committed."""
    job_was = stage.producer.job(job_id)
    match operation:
        case "ring":
            claims += [claim for claim in [stage.worker.claim(job_id, "w")] if claim]
        case "cancel":
            stage.producer.cancel(job_id)
        case "replay":
            stage.worker.replay(job_id)
        case "wait":
            stage.wait(0.7)
        case "sweep":
            stage.sweep()
        case _ if not claims:
            return 0
        case "commit":
            stage.worker.commit(claims[-1], extraction(claims[-1]))
            return int(job_was.state == "running")
        case "fail" | "final":
            stage.worker.fail(claims[0], "x", verdict="dead" if operation == "final" else "retry")
        case "release":
            stage.worker.release(claims[-1])
        case "renew":
            stage.worker.renew(claims)
    return 0


def test_job_ids_are_version_7_and_sort_by_time() -> None:
    ids = []
    for _ in range(5):
        ids.append(keys.new_job_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert {uuid.UUID(each).variant for each in ids} == {uuid.RFC_4122}


@pytest.mark.parametrize(
    ("attempt", "random", "seconds"),
    [
        (1, 0.0, 1.0),  # the first wait, at its shortest
        (1, 1.0, 2.0),  # and at its longest
        (3, 1.0, 8.0),  # it doubles
        (50, 1.0, 300.0),  # up to five minutes
    ],
)
def test_backoff(attempt: int, random: float, seconds: float) -> None:
    assert backoff_s(attempt, random) == seconds
