"""The heartbeat keeps claims alive, tells work whose claim is gone, and outlives whatever goes wrong."""

import threading
from collections.abc import Sequence

import pytest
import structlog
from ledger_stage import Clock, extraction, order

from sluice_schemas.errors import Misconfigured, Unavailable
from sluice_schemas.ledger import Claim, MemoryLedger
from sluice_schemas.ledger import Limits as LedgerLimits
from sluice_worker.leases import Leases

LEASE_S = 10.0
NEVER_S = 3600.0


class Stage:
    def __init__(self) -> None:
        self.clock = Clock()
        self.ledger = MemoryLedger(clock=self.clock)
        self.ledger.set_limits(LedgerLimits(lease_s=LEASE_S, sweep_s=0.001))
        self.leases = Leases(self.ledger, every_s=NEVER_S)

    def claimed(self, key: str = "k") -> Claim:
        return self.again(self.ledger.accept(order(key)).id)

    def again(self, job_id: str) -> Claim:
        claim = self.ledger.claim("w")
        assert claim is not None
        return claim

    def run_out(self) -> None:
        self.clock.now += LEASE_S + 1
        self.ledger.sweep()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_held_claims_outlive_their_lease(stage: Stage) -> None:
    claims = [stage.claimed(str(n)) for n in range(3)]
    with stage.leases.held(claims[0]) as gone, stage.leases.held(claims[1]):
        for _ in range(5):
            stage.clock.now += LEASE_S * 0.9
            stage.leases.renew()
        assert stage.ledger.sweep().taken_back == 1, "the one that nobody holds"
        assert stage.leases.claims() == claims[:2]
        assert not gone.is_set()
        stage.ledger.commit(claims[0], extraction(claims[0]))
    assert stage.leases.claims() == []


@pytest.mark.parametrize("end", ["lost", "cancelled"])
def test_work_is_told_that_its_claim_is_gone(stage: Stage, end: str) -> None:
    claim, other = stage.claimed(), stage.claimed("other")
    with stage.leases.held(claim) as gone, stage.leases.held(other) as others:
        if end == "lost":
            stage.leases.renew()
            stage.clock.now += LEASE_S - 1
            stage.ledger.renew([other])
            stage.clock.now += 2
            stage.ledger.sweep()
        else:
            stage.ledger.cancel(claim.job_id)
        with structlog.testing.capture_logs() as logs:
            stage.leases.renew()
        assert gone.is_set()
        assert not others.is_set()
        assert [(line["action"], line["why"]) for line in logs] == [("lease.gone", end)]


def test_the_same_job_claimed_again_by_the_same_process(stage: Stage) -> None:
    old = stage.claimed()
    with stage.leases.held(old) as old_gone:
        stage.run_out()
        new = stage.again(old.job_id)
        with stage.leases.held(new) as new_gone:
            assert old_gone.is_set(), "whoever works on the older claim stops"
            stage.leases.renew()
            assert not new_gone.is_set()
            assert stage.leases.claims() == [new]
    assert stage.leases.claims() == []


def test_the_older_work_ends_first_and_the_newer_claim_is_still_renewed(stage: Stage) -> None:
    old = stage.claimed()
    older = stage.leases.held(old)
    older.__enter__()
    stage.run_out()
    new = stage.again(old.job_id)
    with stage.leases.held(new):
        older.__exit__(None, None, None)
        stage.clock.now += LEASE_S * 0.9
        stage.leases.renew()
        stage.clock.now += LEASE_S * 0.9
        assert stage.ledger.sweep().taken_back == 0


class Troubled(MemoryLedger):
    """Fails each renewal with the next error, then works."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)
        self.has_renewed = threading.Event()

    def renew(self, claims: Sequence[Claim]) -> dict[str, str]:
        if self.errors:
            raise self.errors.pop(0)
        self.has_renewed.set()
        return super().renew(claims)


def test_heartbeat_outlives_every_error() -> None:
    ledger = Troubled(Unavailable(), Misconfigured("NOPERM"), ZeroDivisionError())
    leases = Leases(ledger, every_s=0.005)
    ledger.accept(order())
    claim = ledger.claim("w")
    assert claim is not None
    with structlog.testing.capture_logs() as logs, leases.held(claim) as gone:
        assert ledger.has_renewed.wait(10)
        assert not gone.is_set(), "an error is no answer"
    assert [line["action"] for line in logs] == ["lease.unreachable"] * 3
    leases.stop()


def test_nothing_is_asked_while_nothing_is_held() -> None:
    ledger = Troubled()
    leases = Leases(ledger, every_s=NEVER_S)
    leases.renew()
    assert not ledger.has_renewed.is_set()
    leases.stop()
