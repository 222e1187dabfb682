"""What tests of tunings share: records of the generator, and plans of seconds."""

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from sluice_worker.training import corpus, launch, supply
from sluice_worker.training.tuning_plan import TuningPlan
from sluice_worker.training.tuning_progress import Progress, Tuned

STEPS = 16
SETTINGS: dict[str, Any] = {
    "rank": 8,
    "alpha": 16,
    "dropout": 0.1,
    "learning_rate": 0.01,
    "clip": 1.0,
    "max_steps": STEPS,
    "batch": 16,
    "device_batch": 8,
    "recompute": False,
    "prompt_tokens": None,
    "checkpoint_steps": 4,
}
RECORDS = 150


def write_records(folder: Path) -> Path:
    """Writes records.jsonl, and some of its records to dev.jsonl: three passes, which two cannot halve."""
    source = corpus.generated("generated.en", seed=3, count=RECORDS)
    examiner = supply.examiner(source, random.Random(3))
    drawn = [examiner.exercise(row) for row in source.rows]
    given = [{"task": x.task, "source": "s", "instruction": x.instruction, "output": x.answer} for x in drawn]
    lines = [orjson.dumps(each) + b"\n" for each in given]
    (folder / "records.jsonl").write_bytes(b"".join(lines))
    (folder / "dev.jsonl").write_bytes(b"".join(lines[:20]))
    return folder / "records.jsonl"


class Site:
    """A base model and records; `plan` makes plans for them, with other settings where they are given."""

    def __init__(self, base: Path, records: Path) -> None:
        self.base = base
        self.records = records

    def plan(self, out: Path, *, start_from: Path | None = None, processes: int = 1, **other: Any) -> TuningPlan:
        files = {"records": self.records, "dev_records": self.records.with_name("dev.jsonl"), "start_from": start_from}
        own = {"processes": processes, "threads": 1, "device": "cpu", "deepspeed": other.pop("deepspeed", "none")}
        return TuningPlan.of({"base": self.base, "out": out, **files, **own, "tuning": SETTINGS | other})


def run(plan: TuningPlan, on_progress: Callable[[Progress], None] = lambda _: None) -> Tuned:
    """To the end."""
    return launch.run(plan, on_progress=on_progress, gone=threading.Event())
