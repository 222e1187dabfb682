"""What a tuning may be told: settings that cannot be served or met are refused with a sentence that says why."""

import importlib.util
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluice_schemas.errors import Misconfigured
from sluice_worker.training import presets
from sluice_worker.training.tuning_plan import LINEAR, Tuning, TuningPlan

DEEPSPEED = Path(presets.__file__).with_name("deepspeed")


def plan(**fields: Any) -> TuningPlan:
    tuning = {name: fields.pop(name) for name in list(fields) if name in Tuning.model_fields}
    given = {"base": "base", "records": "records.jsonl", "out": "out", "tuning": {"method": "lora", **tuning}}
    return TuningPlan.of(given | fields)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dtype": "fp16"}, "repeats endlessly in float16"),
        ({"dtype": "float16"}, "repeats endlessly in float16"),
        ({"dtype": "float64"}, "'auto', 'bfloat16' or 'float32'"),
        ({"modules_to_save": ["lm_head"]}, "cannot be served by vLLM"),
        ({"use_dora": True}, "use plain LoRA"),
        ({"targets": ["q_proj", "lm_head"]}, "lm_head: adapted embeddings"),
        ({"targets": []}, "targets"),
        ({"rank": 0}, "rank"),
        ({"form": "llama9"}, "no prompt form 'llama9'"),
        ({"answer_tokens": 700}, "no room for a prompt"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"lora_r": 8}, "lora_r: Extra inputs"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Misconfigured, match=reason):
        Tuning.of(fields)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"rank": 65}, "raise SLUICE_ADAPTER_RANK"),
        ({"batch": 8, "device_batch": 2, "processes": 3}, "a batch of 8 cannot be shared by 3 processes"),
        ({"method": "full", "start_from": "adapter"}, "give the model as base"),
        ({"method": "qlora", "deepspeed": "zero3"}, "ZeRO-3 cannot share quantised weights"),
    ],
)
def test_plans_that_do_not_fit_together_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Misconfigured, match=reason):
        plan(**fields)


def test_a_full_tuning_has_no_rank_to_be_over_a_limit() -> None:
    assert plan(method="full", rank=512).tuning.method == "full"


def test_a_plan_survives_its_file() -> None:
    written = plan(rank=8, dev_records="dev.jsonl", processes=2)
    assert TuningPlan.model_validate_json(written.model_dump_json()) == written


def test_changed_settings_are_checked_again() -> None:
    assert presets.load("oneke").changed(rank=16).rank == 16
    with pytest.raises(Misconfigured, match="no room"):
        presets.load("oneke").changed(answer_tokens=2000)


# Presets


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_loads(name: str) -> None:
    assert plan(**presets.load(name).model_dump())


def test_the_preset_oneke_is_what_its_script_sets() -> None:
    oneke = presets.load("oneke")
    assert (oneke.method, oneke.rank, oneke.alpha, oneke.dropout) == ("lora", 64, 64, 0.05)
    assert (oneke.learning_rate, oneke.clip, oneke.epochs) == (5e-5, 0.5, 10)
    assert (oneke.prompt_tokens, oneke.sequence_tokens, oneke.answer_tokens) == (400, 700, 300)
    assert (oneke.form, oneke.dtype, oneke.targets) == ("llama2_zh", "bfloat16", LINEAR)
    assert oneke.batch == 4 * 2 * 4  # GPUs x per-device batch x accumulation
    assert presets.load("oneke-full") == oneke.changed(method="full")


def test_an_unknown_preset_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no preset 'one'.*oneke, oneke-full, tiny"):
        presets.load("one")
    own = tmp_path / "own.yaml"
    own.write_text("rank: 4\nrnak: 8\n")
    with pytest.raises(Misconfigured, match=r"preset own\.yaml.*rnak"):
        presets.load(str(own))


# DeepSpeed


@pytest.mark.parametrize(("name", "stage"), [("zero2", 2), ("zero3", 3)])
def test_the_deepspeed_files_leave_to_the_plan_what_it_says(name: str, stage: int) -> None:
    config = orjson.loads((DEEPSPEED / f"{name}.json").read_bytes())
    assert config["zero_optimization"]["stage"] == stage
    assert config["bf16"] == {"enabled": "auto"}
    assert "fp16" not in config
    for key in ("gradient_accumulation_steps", "gradient_clipping", "train_batch_size"):
        assert config[key] == "auto"


@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed")
@pytest.mark.parametrize("name", ["zero2", "zero3"])
def test_deepspeed_itself_knows_every_key(name: str) -> None:
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    config = orjson.loads((DEEPSPEED / f"{name}.json").read_bytes())["zero_optimization"]
    fields = DeepSpeedZeroConfig.model_fields
    assert set(config) <= {field.alias or name for name, field in fields.items()}
    given = {key: value for key, value in config.items() if value != "auto"}
    DeepSpeedZeroConfig(**given)
