"""What a tuning is to do: its settings, which presets ship, and the files it reads and writes."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from sluice_schemas.errors import Misconfigured
from sluice_schemas.wire import Strict, describe
from sluice_worker.protocol.prompt import FORMS

Method = Literal["lora", "qlora", "full"]
DeepSpeed = Literal["none", "zero2", "zero3"]
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a LLaMA, which OneKE tunes."""
UNSERVED = {
    "modules_to_save": "whole modules beside a LoRA cannot be served by vLLM; list layers in `targets` instead",
    "use_dora": "DoRA cannot be served by vLLM; use plain LoRA",
}
HALF = frozenset({"fp16", "float16", "half"})


def _number_format(wanted: Any) -> Any:
    if wanted in HALF:
        raise ValueError("float16 is refused: OneKE was tuned in bfloat16 and repeats endlessly in float16")
    return wanted


class Tuning(Strict):
    """The settings of a tuning, whatever it tunes. Lengths are in tokens, their defaults OneKE's.

    `batch` is the number of sequences in one step of the optimizer, of all processes together, `device_batch` that of
    one pass on one device: what comes out does not depend on how many devices there are. `warmup` is the share of the
    steps in which the learning rate rises. `max_steps` replaces `epochs`. `recompute` trades a third more time for
    memory (gradient checkpointing). `checkpoint_steps` counts the steps between checkpoints, with each of which comes
    a look at the dev records; unset is once an epoch.
    """

    method: Method = "lora"
    rank: int = Field(default=64, ge=1)
    alpha: int = Field(default=64, ge=1)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    targets: tuple[str, ...] = Field(default=LINEAR, min_length=1)
    learning_rate: float = Field(default=5e-5, gt=0)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=0.5, gt=0)
    epochs: float = Field(default=10.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    batch: int = Field(default=32, ge=1)
    device_batch: int = Field(default=2, ge=1)
    recompute: bool = True
    sequence_tokens: int = Field(default=700, ge=2)
    prompt_tokens: int | None = Field(default=400, ge=1)
    answer_tokens: int = Field(default=300, ge=1)
    form: str = "training"
    dtype: Annotated[Literal["auto", "bfloat16", "float32"], BeforeValidator(_number_format)] = "auto"
    seed: int = Field(default=42, ge=0, lt=2**32)
    checkpoint_steps: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _is_servable(cls, fields: Any) -> Any:
        if isinstance(fields, dict):
            for name, reason in UNSERVED.items():
                if fields.get(name):
                    raise ValueError(f"{name} is refused: {reason}")
        return fields

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.form not in FORMS:
            raise ValueError(f"there is no prompt form {self.form!r}; use one of {', '.join(FORMS)}")
        if embeddings := {"embed_tokens", "lm_head"}.intersection(self.targets):
            raise ValueError(f"targets {', '.join(sorted(embeddings))}: adapted embeddings cannot be served by vLLM")
        if self.answer_tokens >= self.sequence_tokens:
            raise ValueError("answer_tokens leaves no room for a prompt; make sequence_tokens greater")
        return self

    @classmethod
    def of(cls, fields: Any, *, name: str = "tuning") -> Self:
        """Checked settings from plain values. Raises `Misconfigured`; `name` says where they came from."""
        try:
            return cls.model_validate(fields)
        except ValidationError as exc:
            raise Misconfigured(describe(exc, name)) from exc

    def changed(self, **fields: Any) -> Self:
        """The same with other values, checked together. Raises `Misconfigured`."""
        return self.of({**self.model_dump(), **fields})


class TuningPlan(Strict):
    """One tuning of one base model. `base` and `start_from`, an adapter to go on from, are folders; `records` are the
    lines that `sluice convert --split train` writes, `dev_records` more of them that are only watched.

    `out` takes checkpoints and progress, and in the end the adapter or the model. `threads` are those of one process
    on a CPU; unset shares the cores. `max_rank` is what the workers serve (SLUICE_ADAPTER_RANK).
    """

    base: Path
    records: Path
    dev_records: Path | None = None
    out: Path
    start_from: Path | None = None
    tuning: Tuning
    device: Literal["auto", "cpu", "cuda"] = "auto"
    processes: int = Field(default=1, ge=1, le=64)
    threads: int | None = Field(default=None, ge=1)
    deepspeed: DeepSpeed = "none"
    max_rank: int = Field(default=64, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        tuning = self.tuning
        if tuning.batch % (tuning.device_batch * self.processes):
            raise ValueError(
                f"a batch of {tuning.batch} cannot be shared by {self.processes} processes in passes of "
                f"{tuning.device_batch}; make batch a multiple of processes x device_batch"
            )
        if tuning.method == "full" and self.start_from:
            raise ValueError("full tuning goes on from a model, not from an adapter; give the model as base")
        if tuning.method != "full" and tuning.rank > self.max_rank:
            raise ValueError(f"rank {tuning.rank} is over {self.max_rank}; raise SLUICE_ADAPTER_RANK, or lower it")
        if tuning.method == "qlora" and self.deepspeed == "zero3":
            raise ValueError("ZeRO-3 cannot share quantised weights; use zero2, or lora")
        return self

    @classmethod
    def of(cls, fields: Any) -> Self:
        """A checked plan from plain values. Raises `Misconfigured`."""
        try:
            return cls.model_validate(fields)
        except ValidationError as exc:
            raise Misconfigured(describe(exc, "tuning plan")) from exc
