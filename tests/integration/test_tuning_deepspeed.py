"""DeepSpeed for real, on two CPU processes. Opt-in: it runs where `pip install deepspeed` was done."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import tiny_llama
from tuning_stage import Site, run, write_records

pytestmark = pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("stage", ["zero2", "zero3"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_two_processes_that_share_states_learn_what_one_does(
    stage: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    site = Site(tiny_llama.make(tmp_path), write_records(tmp_path))
    settings: dict[str, Any] = {
        "method": method,
        "dropout": 0.0,
        "max_steps": 6,
        "learning_rate": 0.001,
        "dtype": "bfloat16",
    }
    alone = run(site.plan(tmp_path / "alone", **settings))
    shared = run(site.plan(tmp_path / "shared", processes=2, deepspeed=stage, **settings))
    assert dict(shared.losses) == pytest.approx(dict(alone.losses), abs=0.05)
    assert {path.name for path in shared.folder.iterdir()} == {path.name for path in alone.folder.iterdir()}
