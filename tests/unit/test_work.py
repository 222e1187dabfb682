"""One document from doorbell to commit, on the twin in memory and an engine that answers from a script."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import structlog
from ledger_stage import extraction
from work_stage import REF, SECRET, TEXT, BusyEngine, answer, bench, working

from sluice_schemas.errors import BadOutput, EngineDead, NotFound, Unavailable
from sluice_schemas.extraction import Extraction
from sluice_schemas.ledger import Claim, MemoryLedger
from sluice_schemas.queues import DELIVERY_BELL, SilentDoorbell
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_worker.engine.request import Completion, Request
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.process.extractor import release
from sluice_worker.work import Work


def test_success_commits_and_rings_its_deliveries() -> None:
    with bench(ScriptedEngine(answer)) as on:
        job = on.run(endpoints=("kb", "audit"))
        assert job.state == "succeeded"
        result = on.ledger.result(job.id)
        assert isinstance(result, Extraction)
        assert (result.job_id, result.schema_ref, result.model) == (job.id, REF, "scripted")
        (entity,) = result.entities
        assert (entity.text, entity.type, entity.status) == (SECRET, "person", "exact")
        assert entity.span is not None
        assert TEXT[entity.span.start : entity.span.end] == SECRET
        assert len(on.doorbell.rung) == 2
        for bell in on.doorbell.rung:
            assert bell == DELIVERY_BELL
            assert on.ledger.outbox.claim_deliveries("courier") is not None
        assert on.leases.claims() == [], "nothing is renewed after the end"


def test_doorbells_for_nothing_cost_nothing() -> None:
    engine = ScriptedEngine(answer)
    with bench(engine) as on:
        on.run()
        for _ in range(100):
            on.work.run()
        assert len(engine.prompts) == 1


# What the input or the schema gets wrong, and a word of the reason.
HOPELESS = [
    pytest.param({"schema_ref": "no/such@1"}, "no/such@1", id="unknown schema"),
    pytest.param({"schema_ref": "news/entities@99"}, "news/entities@99", id="unknown version"),
    pytest.param({"schema_ref": "wide@1"}, "Lower split_num", id="schema fills the context"),
    pytest.param({"schema_ref": "strict@1"}, "decoding", id="decoding that this engine has not"),
]


@pytest.mark.parametrize(("changes", "said"), HOPELESS)
def test_what_no_retry_mends_is_dead_at_the_first_try(changes: dict[str, str], said: str) -> None:
    engine = ScriptedEngine(answer)
    with bench(engine) as on:
        types = tuple(Type(name=f"type {n:03} {'x' * 90}") for n in range(100))
        wide = ExtractionSchema(
            id="wide", version=1, task="NER", language="en", types=types, split_num=100, decoding="free"
        )
        strict = ExtractionSchema(
            id="strict", version=1, task="NER", language="en", types=(Type(name="person"),), decoding="grounded"
        )
        on.ledger.publish(wide)
        on.ledger.publish(strict)
        job = on.run(endpoints=("kb",), **changes)
        assert (job.state, job.attempts) == ("dead", 1)
        assert said in (job.reason or "")
        assert engine.prompts == []
        assert len(on.doorbell.rung) == 1, "the receiver is told"


def fails(exc: Exception) -> Callable[[str], str]:
    def script(prompt: str) -> str:
        raise exc

    return script


def test_failing_engine_is_tried_three_times_with_growing_waits() -> None:
    engine = ScriptedEngine(fails(BadOutput("The model babbled.", raw="la la la")))
    with bench(engine) as on:
        job_id = on.submit(endpoints=("kb",))
        waits: list[float] = []
        for _ in range(3):
            started = on.clock.now
            while (now := on.ledger.job(job_id)).attempts == len(waits):
                on.ledger.sweep()
                on.work.run()
                on.clock.now += 0.25
            waits.append(on.clock.now - started)
            assert now.reason == "The model babbled."
        assert now.state == "dead"
        assert len(engine.prompts) == 3
        assert waits[0] < 1 <= waits[1] <= 2.5 < waits[2] + 0.5 <= 5
        letter = on.ledger.dead_letter(job_id)
        assert letter.raw == "la la la"
        assert "BadOutput: The model babbled." in letter.traceback
        assert "in extract" in letter.traceback
        assert len(on.doorbell.rung) == 1, "one delivery, at the end"


def test_cancel_while_running_stops_the_engine_and_writes_nothing() -> None:
    engine = BusyEngine()
    with bench(engine) as on:
        job_id = on.submit(endpoints=("kb",))
        with working(on, job_id, engine) as run:
            on.ledger.cancel(job_id)
            on.leases.renew()
            run.result(10)
        assert engine.running[0][1].cancelled()
        assert on.ledger.job(job_id).state == "cancelled"
        assert on.ledger.result(job_id) is None
        assert on.doorbell.rung == []


def test_zombie_commit_writes_nothing() -> None:
    engine = BusyEngine()
    with bench(engine) as on:
        job_id = on.submit(endpoints=("kb",))
        with working(on, job_id, engine) as run:
            on.clock.now += 1000
            on.ledger.sweep()
            other = on.ledger.claim("other")
            assert isinstance(other, Claim)
            engine.finish()
            run.result(10)
        now = on.ledger.job(job_id)
        assert (now.state, now.attempts) == ("running", 2)
        assert on.ledger.result(job_id) is None
        assert on.doorbell.rung == []
        on.ledger.commit(other, extraction(other))


def test_deadline_ends_the_waiting() -> None:
    engine = BusyEngine()
    with bench(engine) as on:
        job_id = on.submit(timeout_s=0.3)
        on.work.run()
        assert engine.running[0][1].cancelled()
        on.clock.now += 1
        assert on.ledger.sweep().expired == (job_id,)


def test_dead_engine_is_raised_and_the_job_goes_back() -> None:
    engine = ScriptedEngine(fails(EngineDead("Out of memory.")))
    with bench(engine) as on:
        job_id = on.submit()
        with pytest.raises(EngineDead):
            on.work.run()
        assert on.ledger.job(job_id).state == "queued"
        other = on.submit(key="other")
        on.work.run()
        assert on.ledger.job(other).attempts == 0, "a dead engine takes no further jobs"


def test_engine_that_dies_between_two_requests_leaves_none_running() -> None:
    class Dying(BusyEngine):
        def submit(self, request: Request) -> "Future[Completion]":
            future = super().submit(request)
            if len(self.running) > 1:
                future.set_exception(EngineDead())
            return future

    engine = Dying()
    with bench(engine) as on:
        on.submit(text="A sentence about Kyiv. " * 200)
        with pytest.raises(EngineDead):
            on.work.run()
        assert engine.running[0][1].cancelled()


def test_bad_document_disturbs_no_other() -> None:
    def script(prompt: str) -> str:
        if "poison" in prompt:
            raise ZeroDivisionError
        return answer(prompt)

    with bench(ScriptedEngine(script)) as on, ThreadPoolExecutor(8) as pool:
        jobs = [on.submit(key=str(n), text=f"{TEXT} {'poison' if n % 4 == 0 else n}") for n in range(40)]
        list(pool.map(lambda _: on.work.run(), jobs))
        states = [on.ledger.job(job_id).state for job_id in jobs]
        assert states == ["queued" if n % 4 == 0 else "succeeded" for n in range(40)]


def test_release_gives_back_what_runs_and_takes_nothing_new() -> None:
    engine = BusyEngine()
    with bench(engine) as on:
        job_id, waiting = on.submit(), on.submit(key="waiting")
        with working(on, job_id, engine) as run:
            release(on.work)
            on.work.run()
            for each in (job_id, waiting):
                assert (on.ledger.job(each).state, on.ledger.job(each).attempts) == ("queued", 0)
            engine.finish()
            run.result(10)
        assert on.ledger.result(job_id) is None


class Gone(MemoryLedger):
    """A ledger behind a dead Redis."""

    is_gone = False

    def claim(self, worker: str) -> Claim | None:
        if self.is_gone:
            raise Unavailable("Redis did not answer.")
        return super().claim(worker)


def test_claim_without_redis_is_left_to_the_sweeper() -> None:
    with bench(ScriptedEngine(answer)) as on:
        ledger = Gone()
        ledger.is_gone = True
        work = Work(ledger, on.work.catalogue, on.work.engine, on.leases, on.doorbell, on.work.limits, "w")
        with structlog.testing.capture_logs() as logs:
            work.run()
        assert [line["action"] for line in logs] == ["job.unclaimed"]


class MuteDoorbell(SilentDoorbell):
    def ring(self, task: str, queue: str, id: str) -> None:
        raise Unavailable


def test_doorbell_that_cannot_be_rung_undoes_nothing() -> None:
    with bench(ScriptedEngine(answer)) as on:
        work = Work(on.ledger, on.work.catalogue, on.work.engine, on.leases, MuteDoorbell(), on.work.limits, "w")
        job_id = on.submit(endpoints=("kb",))
        work.run()
        assert on.ledger.job(job_id).state == "succeeded"
        on.clock.now += 60
        assert [bell.task for bell in on.ledger.sweep().doorbells] == ["sluice.deliver"]


@dataclass
class Leaky(Exception):
    """An error that quotes what it choked on, as those of many libraries do."""

    quoted: str = field(default=TEXT)

    def __str__(self) -> str:
        return f"cannot read {self.quoted!r}"


# How the document ends, and the script that makes it end so.
ENDS = [
    pytest.param(answer, id="succeeds"),
    pytest.param(fails(Leaky()), id="fails with an error that quotes it"),
    pytest.param(lambda prompt: f"{TEXT} {{", id="answer that is no JSON"),
    pytest.param(fails(NotFound("No such adapter.")), id="hopeless"),
]


@pytest.mark.parametrize("script", ENDS)
def test_no_log_and_no_reason_quotes_the_document(script: Callable[[str], str]) -> None:
    with bench(ScriptedEngine(script)) as on, structlog.testing.capture_logs() as logs:
        job = on.run(endpoints=("kb",))
    assert logs, "it says how it went"
    assert SECRET not in repr(logs)
    assert SECRET not in (job.reason or "")
