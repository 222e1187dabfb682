"""What a tuning tells of itself while it runs."""

import math
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from transformers import TrainerCallback

from sluice_schemas.errors import Misconfigured
from sluice_worker.training import tuning_checkpoints, tuning_progress
from sluice_worker.training.tuning_progress import Progress


class Watch(TrainerCallback):  # type: ignore[misc]
    """Writes a line of progress at each log of the trainer, and marks checkpoints that are whole.

    `tokens` are those of all sequences up to each step, from step 0 on; `out` is where the files go.
    """

    def __init__(self, out: Path, tokens: Sequence[int]) -> None:
        self._out = out
        self._tokens = tokens
        self._begun = 0.0
        self._first = 0
        self.last = Progress(0, len(tokens) - 1)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._begun, self._first = time.monotonic(), state.global_step
        lines = [*tuning_progress.read(self._out)]
        self.last = lines[-1] if lines else self.last

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == state.max_steps and args.eval_strategy != "no":
            control.should_evaluate = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if not {"loss", "eval_loss"}.intersection(logs):
            return
        if not math.isfinite(logs.get("loss", 0.0)):
            raise Misconfigured(f"The loss is no number any more at step {state.global_step}. Lower learning_rate.")
        if state.is_world_process_zero:
            self.last = self._progress(state.global_step, logs)
            with (self._out / tuning_progress.FILE).open("ab") as file:
                file.write(self.last.line)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        if state.is_world_process_zero:
            tuning_checkpoints.mark(self._out, state.global_step)

    def _progress(self, step: int, logs: dict[str, float]) -> Progress:
        elapsed_s = time.monotonic() - self._begun
        return Progress(
            step=step,
            steps=len(self._tokens) - 1,
            loss=logs.get("loss"),
            learning_rate=logs.get("learning_rate", self.last.learning_rate),
            tokens=self._tokens[step],
            tokens_per_s=round((self._tokens[step] - self._tokens[self._first]) / max(elapsed_s, 1e-6), 1),
            peak_bytes=max(_peak_bytes(), self.last.peak_bytes),
            dev_loss=logs.get("eval_loss"),
        )


def _peak_bytes() -> int:
    """The most memory so far: the device's, or this process's on a CPU."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
