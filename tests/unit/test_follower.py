"""A worker that follows the aliases: what it serves, keeps and drops, and what an unfit adapter does to it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
import work_stage
from structlog.testing import capture_logs

from sluice_schemas.adapter import BASE, AdapterRecord
from sluice_schemas.document import Document
from sluice_schemas.errors import Unavailable
from sluice_schemas.extraction import Extraction, Mention
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_worker.adapters.follower import Follower
from sluice_worker.adapters.memory_registry import MemoryAdapterRegistry
from sluice_worker.adapters.shadow import compared, is_shadowed
from sluice_worker.adapters.status import WorkerStatus
from sluice_worker.engine.adapters import check
from sluice_worker.engine.scripted import ScriptedEngine

REF = "news/entities@1"
OTHER = "own/people@1"


def adapter(folder: Path, weights: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_bytes(orjson.dumps({"peft_type": "LORA", "r": 4}))
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


class FaultyRegistry(MemoryAdapterRegistry):
    """Away when it is told to be."""

    is_away = False

    def aliases(self):  # type: ignore[no-untyped-def]
        if self.is_away:
            raise Unavailable
        return super().aliases()


@dataclass
class Stage:
    """A registry with adapters in folders, and one follower of it."""

    root: Path
    engine: ScriptedEngine
    registry: FaultyRegistry = field(default_factory=FaultyRegistry)
    told: list[WorkerStatus] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.follower = Follower(
            self.registry, self.engine, lambda record: Path(record.uri), self.told.append, name="w"
        )

    def make(self, name: str, *, model: str = "scripted") -> str:
        folder = adapter(self.root / name, name.encode())
        digest = check(folder, max_rank=64)
        self.registry.register(
            AdapterRecord(digest=digest, model=model, uri=str(folder), made_at=1.0, rank=4, size_bytes=10)
        )
        return digest

    def serves(self, ref: str = REF) -> str:
        with self.follower.chosen(ref) as chosen:
            return chosen or BASE

    def promote(self, digest: str, scope: str = "*") -> None:
        self.registry.promote(scope, digest, by="test")
        self.follower.look()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, ScriptedEngine(lambda _: "{}", max_adapters=2))


def test_the_bare_model_serves_until_somebody_is_promoted(stage: Stage) -> None:
    assert stage.serves() == BASE
    first = stage.make("first")
    stage.promote(first)
    assert stage.serves() == first
    stage.promote(BASE)
    assert (stage.serves(), stage.told[-1].holds) == (BASE, [])


def test_a_schema_may_have_its_own_champion(stage: Stage) -> None:
    everywhere, own = stage.make("everywhere"), stage.make("own")
    stage.promote(everywhere)
    stage.promote(own, OTHER)
    assert (stage.serves(REF), stage.serves(OTHER)) == (everywhere, own)
    stage.promote(BASE, OTHER)
    assert (stage.serves(REF), stage.serves(OTHER)) == (everywhere, BASE)
    assert stage.told[-1] == WorkerStatus("w", {"*": everywhere, OTHER: BASE}, [everywhere], {})


@pytest.mark.parametrize("fault", ["missing", "other content", "pickled", "other model"])
def test_an_unfit_adapter_leaves_what_serves_and_is_told_once(stage: Stage, fault: str) -> None:
    good = stage.make("good")
    stage.promote(good)
    bad = stage.make("bad", model="another@1" if fault == "other model" else "scripted")
    weights = stage.root / "bad" / "adapter_model.safetensors"
    if fault in ("missing", "pickled"):
        weights.unlink()
    if fault == "pickled":
        weights.with_suffix(".bin").write_bytes(b"\x80\x04")
    if fault == "other content":
        weights.write_bytes(b"cut")
    with capture_logs() as logs:
        stage.promote(bad)
        stage.follower.look()
    assert stage.serves() == good
    assert stage.told[-1].serves == {"*": good}
    assert [*stage.told[-1].faults] == [bad]
    assert [each["action"] for each in logs if each["log_level"] == "error"] == ["adapter.unfit"]
    adapter(stage.root / "bad", b"bad")
    if fault != "other model":
        stage.follower.look()
        assert (stage.serves(), stage.told[-1].faults) == (bad, {})


def test_what_runs_ends_on_the_adapter_that_it_began_with(stage: Stage) -> None:
    first, second = stage.make("first"), stage.make("second")
    stage.promote(first)
    with stage.follower.chosen(REF) as began:
        stage.promote(second)
        assert (began, stage.serves()) == (first, second)
        # Not dropped as long as a document is on its way to the engine.
        assert sorted(stage.told[-1].holds) == sorted([first, second])
    stage.follower.look()
    assert stage.told[-1].holds == [second]


def test_redis_away_changes_nothing(stage: Stage) -> None:
    first = stage.make("first")
    stage.promote(first)
    stage.registry.is_away = True
    stage.follower.look()
    assert stage.serves() == first


def test_champions_have_room_before_candidates(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ScriptedEngine(lambda _: "{}", max_adapters=1))
    champion, candidate = stage.make("champion"), stage.make("candidate")
    stage.registry.set_candidate("*", candidate, shadow_share=0.5, by="test")
    stage.promote(champion)
    assert stage.serves() == champion
    assert "SLUICE_MAX_ADAPTERS" in stage.told[-1].faults[candidate]


def test_no_document_fails_while_adapters_come_and_go(tmp_path: Path) -> None:
    engine = ScriptedEngine(work_stage.answer, adapted=lambda prompt, _: work_stage.answer(prompt), max_adapters=2)
    stage = Stage(tmp_path, engine)
    digests = [stage.make(f"a{i}") for i in range(4)]
    stop = threading.Event()

    def turn() -> None:
        while not stop.is_set():
            for digest in digests:
                stage.promote(digest)

    with work_stage.bench(engine) as bench, ThreadPoolExecutor(4) as pool:
        object.__setattr__(bench.work, "chooser", stage.follower)
        turning = pool.submit(turn)
        jobs = [bench.submit(key=f"k{i}") for i in range(300)]
        list(pool.map(lambda _: bench.work.run(), jobs))
        stop.set()
        turning.result(30)
        found = [bench.ledger.result(each) for each in jobs]
    assert [bench.ledger.job(each).state for each in jobs] == ["succeeded"] * 300
    assert {each.adapter for each in found if each} <= {*digests, None}
    assert len({each.adapter for each in found if each}) > 1


class TestShadow:
    schema = ExtractionSchema(id="news/entities", version=1, task="NER", language="en", types=(Type(name="person"),))

    def extraction(self, *names: str, job_id: str = "j") -> Extraction:
        entities = tuple(Mention(text=name, type="person") for name in names)
        return Extraction(
            job_id=job_id, document_id="d", schema_ref=REF, task="NER", language="en", model="m", entities=entities
        )

    def test_facts_are_compared_one_by_one(self) -> None:
        counted = compared(self.extraction("Ada", "Bob"), self.extraction("Bob", "Cy", "Di"))
        assert (counted["agreed"], counted["only_champion"], counted["only_candidate"]) == (1, 1, 2)

    def test_the_share_is_of_jobs_and_stays(self) -> None:
        among = [is_shadowed(f"job{i}", 0.25) for i in range(4000)]
        assert 850 < sum(among) < 1150
        assert among == [is_shadowed(f"job{i}", 0.25) for i in range(4000)]
        assert not is_shadowed("job", 0.0)
        assert is_shadowed("job", 1.0)

    def test_only_the_share_of_a_scope_that_has_a_candidate_is_offered(self, stage: Stage) -> None:
        candidate = stage.make("candidate")
        offered: list[tuple[str, str]] = []
        stage.follower.start(
            every_s=3600.0, offer=lambda document, schema, champion, name: offered.append((champion.job_id, name))
        )
        document = Document(id="d", text="Ada")

        def commit(count: int) -> None:
            for i in range(count):
                stage.follower.committed(document, self.schema, self.extraction("Ada", job_id=f"j{i}"))

        commit(50)
        assert offered == []
        stage.registry.set_candidate("*", candidate, shadow_share=0.5, by="test")
        stage.follower.look()
        commit(200)
        stage.follower.stop()
        assert offered == [(f"j{i}", candidate) for i in range(200) if is_shadowed(f"j{i}", 0.5)]
        assert stage.serves() == BASE
