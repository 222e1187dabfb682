"""The twin in memory keeps the ledger's contract, and forgets what is over."""

import time
import uuid

import pytest
from ledger_contract import LedgerContract
from ledger_stage import QUICK, Clock, Stage, memory_stage
from outbox_contract import OutboxContract
from sweep_contract import SweepContract

from sluice_schemas.errors import NotFound
from sluice_schemas.ledger import Receipt, keys
from sluice_worker.ledger import backoff_s


def a_stage() -> Stage:
    stage = memory_stage(Clock())
    stage.worker.set_limits(QUICK)
    return stage


class TestMemoryLedger(LedgerContract, SweepContract, OutboxContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return a_stage()

    def test_ended_jobs_and_their_keys_are_forgotten(self, stage: Stage) -> None:
        claim = stage.committed()
        stage.settle(stage.consignment(), Receipt("delivered"))
        stage.wait(QUICK.retention_s + 3601)
        with pytest.raises(NotFound):
            stage.producer.job(claim.job_id)
        assert stage.submit(text="Other").id != claim.job_id


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
