"""Runs on real databases: one active run a scope, one holder a run, nothing written by one that lost it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sql_stage import KINDS, NewDatabase, databases

from sluice_schemas.errors import Conflict, Lost, NotFound, SluiceError, Unavailable
from sluice_schemas.sql import database
from sluice_worker.learning.conductor import Conductor, Context, Ended, Stopped
from sluice_worker.learning.run import STEPS, Run, RunClaim, StepName
from sluice_worker.learning.run_store import MAX_ATTEMPTS, RunStore

LONG_S = 60.0


@pytest.fixture(scope="module", params=KINDS)
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewDatabase]:
    with databases(request.param, tmp_path_factory.mktemp("sql")) as new:
        yield new


@pytest.fixture
def engine(new_database: NewDatabase) -> Iterator[sa.Engine]:
    engine = database.connect(new_database())
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> RunStore:
    return RunStore(engine)


def claimed(store: RunStore, *, lease_s: float = LONG_S, worker: str = "a") -> RunClaim:
    claim = store.claim(worker, lease_s=lease_s)
    assert claim is not None
    return claim


def test_a_scope_has_one_active_run_however_many_ask(store: RunStore) -> None:
    def ask(_: int) -> Run | SluiceError:
        try:
            return store.create("*", cause="count")
        except SluiceError as exc:
            return exc

    with ThreadPoolExecutor(8) as pool:
        outcomes = [*pool.map(ask, range(16))]
    made = [each for each in outcomes if isinstance(each, Run)]
    assert len(made) == 1
    assert all(isinstance(each, Conflict) and made[0].id in str(each) for each in outcomes if each is not made[0])
    assert store.create("own/people@1", cause="asked").scope == "own/people@1"


def test_a_run_has_one_holder(store: RunStore) -> None:
    run = store.create("*", cause="asked", is_full=True)
    with ThreadPoolExecutor(8) as pool:
        claims = [*pool.map(lambda i: store.claim(f"w{i}", lease_s=LONG_S), range(8))]
    (claim,) = filter(None, claims)
    assert (claim.run.id, claim.run.is_full, claim.run.state, claim.run.attempts) == (run.id, True, "running", 1)
    assert claim.run.started_at is not None


def test_who_lost_a_run_writes_nothing(store: RunStore) -> None:
    store.create("*", cause="asked")
    silent = claimed(store, lease_s=0.05, worker="silent")
    time.sleep(0.3)
    claim = claimed(store, worker="next")
    assert (claim.run.worker, claim.run.attempts) == ("next", 2)
    writes: tuple[Callable[[], None], ...] = (
        lambda: store.renew(silent, lease_s=LONG_S),
        lambda: store.begin_step(silent, "train"),
        lambda: store.say(silent, "still here"),
        lambda: store.took_snapshot(silent, upto_label=9, digest="x"),
        lambda: store.end(silent, "promoted", reason="mine", adapter="a"),
        lambda: store.release(silent, reason="mine"),
    )
    for write in writes:
        with pytest.raises(Lost):
            write()
    run = store.get(claim.run.id)
    assert (run.state, run.steps, run.upto_label, store.lines(run.id)) == ("running", (), None, [])
    store.end(claim, "rejected", reason="no better")
    assert store.get(run.id).reason == "no better"
    assert store.create("*", cause="asked").state == "queued"


def test_a_run_that_never_ends_is_not_tried_for_ever(store: RunStore) -> None:
    run = store.create("*", cause="asked")
    for _ in range(MAX_ATTEMPTS):
        claimed(store, lease_s=0.0)
        time.sleep(0.05)
    assert store.claim("a", lease_s=LONG_S) is None
    assert store.get(run.id).state == "failed"
    assert f"{MAX_ATTEMPTS} times" in store.get(run.id).reason


def test_what_is_given_back_waits_for_the_next(store: RunStore) -> None:
    store.create("*", cause="asked")
    store.release(claimed(store), reason="told to stop")
    assert claimed(store).run.attempts == 1
    store.release(RunClaim(store.latest()[0], 2), reason="the database was away", counts=True)
    assert claimed(store).run.attempts == 2


def test_a_cancelled_run_is_lost_to_its_holder(store: RunStore) -> None:
    run = store.create("*", cause="asked")
    claim = claimed(store)
    assert store.cancel(run.id).state == "cancelled"
    with pytest.raises(Lost):
        store.renew(claim, lease_s=LONG_S)
    assert store.cancel(run.id).state == "cancelled"
    with pytest.raises(NotFound, match="runs list"):
        store.cancel("nobody")


def test_the_last_snapshot_counts_failed_runs_and_no_cancelled_ones(store: RunStore) -> None:
    assert store.last_snapshot("*") is None
    for upto, ends in ((10, "failed"), (20, "cancelled")):
        run = store.create("*", cause="asked")
        claim = claimed(store)
        store.took_snapshot(claim, upto_label=upto, digest="d")
        store.cancel(run.id) if ends == "cancelled" else store.end(claim, "failed", reason="broken")
    last = store.last_snapshot("*")
    assert last is not None
    assert last.upto_label == 10
    assert store.last_snapshot("*", before=last.id) is None


class Works:
    """Steps that count how often they were done, and break where they are told to."""

    def __init__(self, *, breaks: dict[str, BaseException] | None = None) -> None:
        self.done: list[str] = []
        self.breaks = breaks or {}

    def all(self) -> dict[StepName, object]:
        return {name: lambda context, name=name: self._do(name, context) for name in STEPS}

    def _do(self, name: StepName, context: Context) -> dict[str, object]:
        self.done.append(name)
        if exc := self.breaks.pop(name, None):
            raise exc
        if name == "promote":
            raise Ended("promoted", "better", adapter="abc")
        return {"from": name}


def conductor(store: RunStore, works: Works, folder: Path, name: str = "t") -> Conductor:
    return Conductor(store, works.all(), folder=folder, name=name)  # type: ignore[arg-type]


class Killed(BaseException):
    """What a kill is to the code: nothing behind it runs."""


@pytest.mark.parametrize("step", STEPS)
def test_a_run_goes_on_where_its_trainer_was_killed(
    store: RunStore, engine: sa.Engine, tmp_path: Path, step: StepName
) -> None:
    run = store.create("*", cause="asked")
    works = Works(breaks={step: Killed()})
    with pytest.raises(Killed):
        conductor(store, works, tmp_path).run()
    assert store.get(run.id).state == "running"
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET leased_until = 0"))
    assert conductor(store, works, tmp_path, "next").run()
    ended = store.get(run.id)
    assert (ended.state, ended.adapter, ended.reason) == ("promoted", "abc", "better")
    # Only the step that was cut short was done again.
    assert sorted(works.done) == sorted([*STEPS, step])
    assert not conductor(store, works, tmp_path).run()


def test_without_its_folder_a_run_begins_again(store: RunStore, engine: sa.Engine, tmp_path: Path) -> None:
    run = store.create("*", cause="asked")
    works = Works(breaks={"gate": Killed()})
    with pytest.raises(Killed):
        conductor(store, works, tmp_path / "here").run()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET leased_until = 0"))
    assert conductor(store, works, tmp_path / "there").run()
    assert works.done == [*STEPS[:5], *STEPS]
    assert any("SLUICE_RUNS_DIR" in line.text for line in store.lines(run.id))


@pytest.mark.parametrize(
    ("exc", "state"),
    [(OSError(28, "No space left on device"), "queued"), (Unavailable(), "queued"), (ValueError("odd"), "failed")],
)
def test_how_a_broken_step_ends(store: RunStore, tmp_path: Path, exc: Exception, state: str) -> None:
    run = store.create("*", cause="asked")
    assert conductor(store, Works(breaks={"train": exc}), tmp_path).run()
    found = store.get(run.id)
    assert found.state == state
    assert (str(exc) in found.reason) is True


def test_a_trainer_that_stops_gives_its_run_back(store: RunStore, tmp_path: Path) -> None:
    run = store.create("*", cause="asked")
    begun = threading.Event()

    class Long(Works):
        def _do(self, name: StepName, context: Context) -> dict[str, object]:
            if name != "train":
                return {}
            begun.set()
            assert context.gone.wait(30)
            raise Stopped

    works = conductor(store, Long(), tmp_path)
    thread = threading.Thread(target=works.run)
    thread.start()
    assert begun.wait(30)
    assert not works.run()
    works.stop()
    thread.join(30)
    found = store.get(run.id)
    assert (found.state, found.attempts, found.step("convert").is_done) == ("queued", 0, True)
    assert not works.run()
