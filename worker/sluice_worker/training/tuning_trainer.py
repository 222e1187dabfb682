"""Hands a tuning to Transformers' Trainer, which brings accumulation, several processes, DeepSpeed and resuming."""

import importlib.util
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine.device import NumberFormat, number_format
from sluice_worker.training import tuning_checkpoints, tuning_model, tuning_order
from sluice_worker.training.sequence import IGNORED
from sluice_worker.training.tuning_data import Passes, Sequences
from sluice_worker.training.tuning_plan import Tuning, TuningPlan
from sluice_worker.training.tuning_watch import Watch

MOST_LINES = 1000
"""Of progress in a whole tuning: each is a look at the device, which waits for it."""
DEEPSPEED = Path(__file__).with_name("deepspeed")


class Tuner(Trainer):  # type: ignore[misc]
    """Looks at the dev records in its own way: the mean over tokens, however many processes share them."""

    control: Any

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        shown: Passes = self.eval_dataset
        first, processes = self.args.process_index, self.args.world_size
        self.model_wrapped.eval()
        total = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        # As many passes in each process as in the others, as ZeRO-3 needs; what is shown again does not count.
        for i in range(first, -(-len(shown) // processes) * processes, processes):
            given = self._prepare_inputs(shown[i % len(shown)])
            with torch.no_grad():
                loss = self.model_wrapped(**given).loss
            count = (given["labels"] != IGNORED).sum()
            total += torch.stack((loss * count, count)) * (i < len(shown))
        total = self.accelerator.reduce(total)
        metrics = {"eval_loss": float(total[0] / total[1])}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def trainer(plan: TuningPlan, given: Sequences, dev: Sequences | None) -> tuple[Any, Watch]:
    """A trainer for the whole plan, and what writes its progress."""
    tuning = plan.tuning
    device = _device(plan)
    numbers = number_format(device, tuning.dtype)
    steps = _steps(tuning, len(given.lengths))
    passes = tuning_order.order(
        given.lengths, steps=steps, batch=tuning.batch, device_batch=tuning.device_batch, seed=tuning.seed
    )
    watch = Watch(plan.out, _tokens(passes, given.lengths, step=tuning.batch // tuning.device_batch))
    # First of all: DeepSpeed must know its settings before the model is loaded.
    args = _arguments(plan, device=device, numbers=numbers, steps=steps, epoch=_epoch(tuning, len(given.lengths)))
    set_seed(tuning.seed)
    made = Tuner(
        model=tuning_model.build(plan, device=_own(device), numbers=numbers),
        args=args,
        train_dataset=Passes(given, passes),
        eval_dataset=dev and Passes(dev, tuning_order.by_length(dev.lengths, device_batch=tuning.device_batch)),
        data_collator=_only,
        callbacks=[watch],
    )
    made.remove_callback(PrinterCallback)  # the watch tells it all
    return made, watch


def _only(passes: list[dict[str, Any]]) -> dict[str, Any]:
    return passes[0]


def _device(plan: TuningPlan) -> str:
    seen = torch.cuda.device_count()
    if plan.device == "cpu" or (plan.device == "auto" and not seen):
        return "cpu"
    if not seen:
        raise Misconfigured("The device is cuda, but torch sees no GPU. Check the driver, or tune on the cpu.")
    if seen != plan.processes:
        raise Misconfigured(
            f"{seen} GPUs are seen and {plan.processes} processes shall tune: give each process its GPU by "
            "CUDA_VISIBLE_DEVICES or by processes."
        )
    return "cuda"


def _own(device: str) -> str:
    return "cpu" if device == "cpu" else f"cuda:{os.environ.get('LOCAL_RANK', '0')}"


def _epoch(tuning: Tuning, sequences: int) -> int:
    """The steps of one epoch."""
    return max(1, round(sequences / tuning.batch))


def _steps(tuning: Tuning, sequences: int) -> int:
    return tuning.max_steps or max(1, round(tuning.epochs * sequences / tuning.batch))


def _tokens(passes: Sequence[Sequence[int]], lengths: Sequence[int], *, step: int) -> list[int]:
    """The tokens of all sequences up to each step of so many passes."""
    shown = [sum(lengths[each] for each in one) for one in passes]
    return [0, *itertools.accumulate(sum(shown[i : i + step]) for i in range(0, len(shown), step))]


def _arguments(plan: TuningPlan, *, device: str, numbers: NumberFormat, steps: int, epoch: int) -> TrainingArguments:
    tuning = plan.tuning
    every = min(tuning.checkpoint_steps or epoch, steps)
    return TrainingArguments(
        output_dir=str(plan.out / tuning_checkpoints.FOLDER),
        # What the data set gives are whole passes.
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=tuning.batch // (tuning.device_batch * plan.processes),
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        max_steps=steps,
        learning_rate=tuning.learning_rate,
        lr_scheduler_type="constant_with_warmup" if tuning.schedule == "constant" else tuning.schedule,
        warmup_steps=round(tuning.warmup * steps),
        weight_decay=tuning.weight_decay,
        max_grad_norm=tuning.clip,
        optim="adamw_torch",
        bf16=numbers == "bfloat16",
        use_cpu=device == "cpu",
        gradient_checkpointing=tuning.recompute,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        seed=tuning.seed,
        logging_steps=max(1, steps // MOST_LINES),
        logging_nan_inf_filter=False,  # it would hide a tuning that broke
        save_steps=every,
        # The one before is removed when the new one is whole.
        save_total_limit=2,
        eval_strategy="steps" if plan.dev_records else "no",
        eval_steps=every,
        dataloader_pin_memory=device != "cpu",
        ddp_find_unused_parameters=False,
        deepspeed=_deepspeed(plan, device),
        report_to="none",
        disable_tqdm=True,
        log_level="error",
    )


def _deepspeed(plan: TuningPlan, device: str) -> str | None:
    if plan.deepspeed == "none":
        return None
    if importlib.util.find_spec("deepspeed") is None:
        raise Misconfigured("DeepSpeed is not installed: pip install deepspeed, or set deepspeed to none.")
    if device == "cpu":  # Accelerate leaves it out there, and ZeRO-3 would count one process when it shares weights
        importlib.import_module("deepspeed").init_distributed("gloo", auto_mpi_discovery=False)
    return str(DEEPSPEED / f"{plan.deepspeed}.json")
