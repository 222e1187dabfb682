"""Publishes what was trained: a folder that is whole or not there, without a pickle in it."""

import os
import shutil
from pathlib import Path
from typing import Any

import orjson
import torch
from transformers import AutoConfig

from sluice_worker.engine import adapters, model_folder
from sluice_worker.engine.adapters import CONFIG, WEIGHTS
from sluice_worker.training import tuning_checkpoints, tuning_origin
from sluice_worker.training.tuning_plan import TuningPlan

ADAPTER, MODEL = "adapter", "model"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "vocab.json")
MODEL_FILES = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json")


def publish(trainer: Any, plan: TuningPlan) -> tuple[Path, str]:
    """Writes the adapter or the model below `plan.out`; its folder and its content's digest.

    Called by all processes, written by the first.
    """
    is_full = plan.tuning.method == "full"
    folder = plan.out / (MODEL if is_full else ADAPTER)
    part = plan.out / f".{folder.name}.part"
    saved = plan.out / ".saved"
    if trainer.is_world_process_zero():
        for leftover in (part, saved):
            shutil.rmtree(leftover, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    if is_full and plan.deepspeed == "none":  # DeepSpeed has it in the format of training already
        trainer.model.to(_kept(plan.base))
    trainer.save_model(str(saved))  # gathers what DeepSpeed has spread
    if trainer.is_world_process_zero():
        part.mkdir()
        _take_model(saved, part, plan.base) if is_full else _take_adapter(saved, part, plan.base)
        shutil.rmtree(saved)
        digest = _checked(part, plan)
        tuning_checkpoints.sync(part)
        shutil.rmtree(folder, ignore_errors=True)  # of an end that was not reached: there is no result yet
        os.replace(part, folder)
        tuning_checkpoints.sync(plan.out)
        return folder, digest
    return folder, ""


def _kept(base: Path) -> torch.dtype:
    """The number format that the base is kept in."""
    dtype: torch.dtype = AutoConfig.from_pretrained(base, trust_remote_code=False).dtype or torch.bfloat16
    return dtype


def _take_adapter(saved: Path, part: Path, base: Path) -> None:
    """The two files that are served; lists of the config sorted, so that equal trainings have equal digests."""
    config = orjson.loads((saved / CONFIG).read_bytes())
    config = {name: sorted(value) if _is_names(value) else value for name, value in config.items()}
    config |= {tuning_origin.BASE_FIELD: tuning_origin.base_name(base), "inference_mode": True}
    (part / CONFIG).write_bytes(orjson.dumps(config, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    os.replace(saved / WEIGHTS, part / WEIGHTS)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _take_model(saved: Path, part: Path, base: Path) -> None:
    for pattern in MODEL_FILES:
        for path in saved.glob(pattern):
            os.replace(path, part / path.name)
    for name in TOKENIZER:
        if (base / name).is_file():
            shutil.copyfile(base / name, part / name)


def _checked(part: Path, plan: TuningPlan) -> str:
    if plan.tuning.method == "full":
        model_folder.check(part)
        return model_folder.digest(part)
    return adapters.check(part, max_rank=plan.max_rank)
