"""A run from labels to verdict with everything real: two schedulers, a trainer that is killed, one that goes on."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from redis import Redis
from sluice_processes import left_in, started, until

from sluice_producer import Sluice
from sluice_schemas.document import Document
from sluice_schemas.extraction import Mention, Span
from sluice_schemas.label import Label
from sluice_schemas.labels.store import LabelStore
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_schemas.sql import database
from sluice_worker.adapters.redis_registry import RedisAdapterRegistry
from sluice_worker.learning.run import STEPS
from sluice_worker.learning.run_store import RunStore

pytestmark = pytest.mark.timeout(300)

SCHEMA = ExtractionSchema(
    id="own/signers", version=1, task="NER", language="en", types=(Type(name="signer"), Type(name="vessel"))
)
NAMES = ("Ada Byrne", "Olu Adeyemi", "Mira Kovac", "Jon Aas", "Lina Farouk", "Tom Quist", "Eva Brandt")
SHIPS = ("Northern Star", "Petrel", "Blue Heron", "Marigold", "Sea Lion", "Halcyon", "Kittiwake", "Osprey")
PLACES = ("Bergen", "Accra", "Split", "Tromso", "Tunis", "Visby", "Kiel", "Cork", "Porto", "Riga", "Malmo")
LABELS = 110


def labels() -> Iterator[Label]:
    for i in range(LABELS):
        name, ship, place = NAMES[i % 7], SHIPS[i % 8], PLACES[i % 11]
        text = f"{name} left {place} on the {ship} and signed the papers before noon, with {place} still in sight."
        entities = tuple(
            Mention(
                text=value,
                type=kind,
                span=Span(start=text.index(value), end=text.index(value) + len(value)),
                status="exact",
            )
            for value, kind in ((name, "signer"), (ship, "vessel"))
        )
        yield Label(
            document=Document(id=f"d{i}", text=text),
            schema_ref=SCHEMA.ref,
            verdict="corrected",
            author="kim",
            entities=entities,
        )


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = database.connect(f"sqlite:///{tmp_path / 'labels.db'}")
    yield engine
    engine.dispose()


def settings(folder: Path, url: str) -> dict[str, str]:
    preset = {"method": "lora", "rank": 8, "alpha": 16, "learning_rate": 0.001, "max_steps": 12, "batch": 4}
    preset |= {"device_batch": 4, "recompute": False, "checkpoint_steps": 2}
    (folder / "preset.yaml").write_text(yaml.safe_dump(preset))
    return {
        "redis_url": url,
        "labels_url": f"sqlite:///{folder / 'labels.db'}",
        "runs_dir": str(folder / "runs"),
        "adapters_url": f"file://{folder / 'adapters'}",
        "train_preset": str(folder / "preset.yaml"),
        "run_lease_s": "4",
        "beat_every_s": "1",
        "retrain_labels": str(LABELS),
        "gate_latency": "100",
    }


def test_a_killed_trainer_is_taken_over_and_one_run_comes_of_two_schedulers(
    redis: Redis, redis_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with Sluice(redis_url) as client:
        client.publish(SCHEMA)
    store, runs = LabelStore(engine), RunStore(engine)
    for label in labels():
        store.add(label, schema=SCHEMA)
    given = settings(tmp_path, redis_url)
    with ExitStack() as open_:
        beats = [open_.enter_context(started(tmp_path, "beat", **given)).await_ready() for _ in range(2)]
        first = open_.enter_context(started(tmp_path, "trainer", **given)).await_ready()
        until(lambda: bool(runs.latest()) and runs.latest()[0].step("train").share > 0.2, 120)
        begun = runs.latest()[0]
        first.stop(signal.SIGKILL)
        until(lambda: not [each for each in left_in(tmp_path) if "training.tune" in each], 20)
        second = open_.enter_context(started(tmp_path, "trainer", **given)).await_ready()
        until(lambda: not runs.get(begun.id).is_active, 150)
        assert second.stop() == 0, second.said()
        assert [each.stop() for each in beats] == [0, 0]
    (run,) = runs.latest()
    assert (run.id, run.cause, run.attempts) == (begun.id, "count", 2)
    assert run.state in ("promoted", "rejected"), run.reason
    assert [step.name for step in run.steps] == [*STEPS]
    assert run.step("snapshot") == begun.step("snapshot")
    assert run.step("train").detail["steps"] == 12
    registry = RedisAdapterRegistry(redis)
    (record,) = registry.records()
    assert (record.digest, record.run_id) == (run.adapter, run.id)
    aliases = registry.aliases()
    assert (aliases["*"].champion if aliases else "base") == (run.adapter if run.state == "promoted" else "base")
    said = [line.text for line in runs.lines(run.id)]
    assert any("labels to train on" in each for each in said)
    assert any(each.startswith(("passed", "FAILED")) for each in said)
    assert (tmp_path / "runs" / run.id / "report.html").is_file()
    # No text of a document in what processes log.
    logged = "".join(path.read_text() for path in tmp_path.glob("*.said"))
    assert "signed the papers" not in logged
