"""The sweeper rings what was lost and outlives whatever goes wrong."""

import threading

import structlog
from ledger_stage import claim_on, endpoint, extraction, order

from sluice_schemas.errors import Misconfigured, Unavailable
from sluice_schemas.ledger import Limits, MemoryLedger, Swept
from sluice_schemas.queues import DELIVERY_BELL, JOB_BELL, Bell, SilentDoorbell
from sluice_worker.sweeper import Sweeper

NEVER_S = 3600.0
AT_ONCE = Limits(lease_s=0.0, sweep_s=0.0)


class Crowded(SilentDoorbell):
    """One bell of each queue waits to be heard."""

    def waiting(self, queue: str) -> int:
        return 1


def test_lost_doorbells_are_rung_and_those_that_wait_are_not() -> None:
    ledger, doorbell = MemoryLedger(), Crowded()
    ledger.set_limits(AT_ONCE)
    for n in range(3):
        ledger.accept(order(str(n)))
    done = committed(ledger, 2)
    sweeper = Sweeper(ledger, doorbell, every_s=NEVER_S)
    sweeper.sweep()
    assert doorbell.rung == [JOB_BELL, JOB_BELL, DELIVERY_BELL]
    sweeper.stop()
    assert done == 2


def committed(ledger: MemoryLedger, count: int) -> int:
    """Some more jobs, which have ended; how many webhooks wait for that."""
    ledger.outbox.add_endpoint(endpoint("kb"))
    claims = []
    for n in range(count):
        job = ledger.accept(order(f"done {n}", endpoints=("kb",)))
        claims.append(claim_on(ledger, job.id))
    return sum(ledger.commit(claim, extraction(claim)) for claim in claims)


class Uncountable(SilentDoorbell):
    def waiting(self, queue: str) -> int:
        raise Unavailable


def test_leases_are_taken_back_though_doorbells_cannot_be_counted() -> None:
    ledger = MemoryLedger()
    ledger.set_limits(AT_ONCE)
    ledger.accept(order())
    assert ledger.claim("vanishes") is not None
    sweeper = Sweeper(ledger, Uncountable(), every_s=NEVER_S)
    sweeper.sweep()
    sweeper.stop()
    assert (ledger.counts().queued, ledger.counts().running) == (1, 0)


def test_what_vanished_is_taken_back_and_said() -> None:
    ledger, doorbell = MemoryLedger(), SilentDoorbell()
    ledger.set_limits(AT_ONCE)
    job = ledger.accept(order())
    sweeper = Sweeper(ledger, doorbell, every_s=NEVER_S)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert ledger.claim("vanishes") is not None
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

    def sweep(self, *, waiting: int = 0, waiting_deliveries: int = 0, limit: int = 100) -> Swept:
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
    ledger.accept(order())
    sweeper = Sweeper(ledger, broken, every_s=NEVER_S)
    sweeper.sweep()
    sweeper.stop()
    other = Sweeper(ledger, works, every_s=NEVER_S)
    other.sweep()
    other.stop()
    assert works.rung == [Bell(*broken.rung[0])] == [JOB_BELL]


def test_who_cannot_ring_for_jobs_is_told() -> None:
    ledger, told = MemoryLedger(), list[str]()
    ledger.set_limits(AT_ONCE)
    sweeper = Sweeper(ledger, Broken(), every_s=NEVER_S, on_mute=lambda: told.append("mute"))
    sweeper.sweep()
    assert told == [], "no job waits"
    ledger.accept(order())
    sweeper.sweep()
    assert told == ["mute"]
    sweeper.stop()
