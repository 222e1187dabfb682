"""The model that a tuning works on: the base as its method wants it, and a LoRA on top."""

from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine.device import NumberFormat
from sluice_worker.training.tuning_plan import Tuning, TuningPlan

ALL_LINEAR = "all-linear"


def build(plan: TuningPlan, *, device: str, numbers: NumberFormat) -> Any:
    """Base model with what is to be trained. Raises `Misconfigured` for folders and settings that do not fit."""
    base = _base(plan, device, numbers)
    base.config.use_cache = False
    if plan.tuning.method == "full":
        return base
    if plan.tuning.method == "qlora":
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=plan.tuning.recompute)
    try:
        return _continued(base, plan) if plan.start_from else _fresh(base, plan.tuning)
    except (ValueError, RuntimeError, SafetensorError) as exc:
        raise Misconfigured(f"The LoRA does not fit the model in {plan.base}: {exc}") from exc


def _base(plan: TuningPlan, device: str, numbers: NumberFormat) -> Any:
    tuning = plan.tuning
    # All weights of a full tuning are the optimizer's to change: in bfloat16 small steps would round to nothing.
    kept = "float32" if tuning.method == "full" else numbers
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, numbers),
    )
    try:
        return AutoModelForCausalLM.from_pretrained(
            plan.base,
            dtype=getattr(torch, kept),
            # ZeRO-3 places the weights itself.
            device_map=None if plan.deepspeed == "zero3" else {"": device},
            quantization_config=nf4 if tuning.method == "qlora" else None,
            use_safetensors=True,
            trust_remote_code=False,
            # On a CPU a tenth faster than sdpa, whose backward pass is slow there.
            attn_implementation="eager" if device == "cpu" else "sdpa",
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as exc:
        raise Misconfigured(f"The model in {plan.base} does not load: {exc}. Copy it again.") from exc


def _fresh(base: Any, tuning: Tuning) -> Any:
    config = LoraConfig(
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        lora_dropout=tuning.dropout,
        target_modules=ALL_LINEAR if tuning.targets == (ALL_LINEAR,) else list(tuning.targets),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, config)


def _continued(base: Any, plan: TuningPlan) -> Any:
    adapted = PeftModel.from_pretrained(base, plan.start_from, is_trainable=True)
    for module in adapted.modules():
        for dropout in getattr(module, "lora_dropout", {}).values():
            dropout.p = plan.tuning.dropout
    return adapted
