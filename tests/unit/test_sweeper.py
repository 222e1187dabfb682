"""The sweeper rings what was lost and outlives whatever goes wrong."""

import threading

import structlog
from ledger_stage import order

from sluice_schemas.errors import Misconfigured, Unavailable
from sluice_schemas.ledger import Limits, MemoryLedger, Swept
from sluice_schemas.queues import Bell, SilentDoorbell, job_bell
from sluice_worker.sweeper import Sweeper

NEVER_S = 3600.0
AT_ONCE = Limits(lease_s=0.0, ring_after_s=0.0, sweep_s=0.0)


def test_lost_doorbells_are_rung() -> None:
    ledger, doorbell = MemoryLedger(), SilentDoorbell()
    ledger.set_limits(AT_ONCE)
    jobs = [ledger.accept(order(str(n))) for n in range(3)]
    sweeper = Sweeper(ledger, doorbell, every_s=NEVER_S)
    sweeper.sweep()
    assert doorbell.rung == [job_bell(job.id, job.priority) for job in jobs]
    sweeper.stop()


def test_what_vanished_is_taken_back_and_said() -> None:
    ledger, doorbell = MemoryLedger(), SilentDoorbell()
    ledger.set_limits(AT_ONCE)
    job = ledger.accept(order())
    sweeper = Sweeper(ledger, doorbell, every_s=NEVER_S)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert ledger.claim(job.id, "vanishes") is not None
            sweeper.sweep()
    assert ledger.job(job.id).state == "dead"
    assert [(line["jobs"], line["dead"]) for line in logs] == [(1, 0), (1, 0), (0, 1)]
    sweeper.stop()


class Troubled(MemoryLedger):
    """Fails each sweep with the next error, then works."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)
        self.has_swept = threading.Event()

    def sweep(self, limit: int = 100) -> Swept:
        if self.errors:
            raise self.errors.pop(0)
        self.has_swept.set()
        return Swept()


def test_sweeper_outlives_every_error() -> None:
    ledger = Troubled(Unavailable(), Misconfigured("NOPERM"), ZeroDivisionError())
    with structlog.testing.capture_logs() as logs:
        sweeper = Sweeper(ledger, SilentDoorbell(), every_s=0.005)
        assert ledger.has_swept.wait(10)
        sweeper.stop()
    assert [line["action"] for line in logs] == ["sweep.unreachable"] * 3


class Broken(SilentDoorbell):
    def ring(self, task: str, queue: str, id: str) -> None:
        super().ring(task, queue, id)
        raise Unavailable


def test_doorbell_that_fails_is_rung_by_a_later_sweep() -> None:
    ledger, broken, works = MemoryLedger(), Broken(), SilentDoorbell()
    ledger.set_limits(AT_ONCE)
    job = ledger.accept(order())
    sweeper = Sweeper(ledger, broken, every_s=NEVER_S)
    sweeper.sweep()
    sweeper.stop()
    other = Sweeper(ledger, works, every_s=NEVER_S)
    other.sweep()
    other.stop()
    assert works.rung == [Bell(*broken.rung[0])] == [job_bell(job.id, job.priority)]
