"""The process that tunes, started by `launch` with a folder as its argument; several of them by torchrun."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed

from sluice_worker.engine import cpu
from sluice_worker.training import (
    tuning_checkpoints,
    tuning_data,
    tuning_fault,
    tuning_result,
    tuning_trainer,
)
from sluice_worker.training.tuning_data import Sequences
from sluice_worker.training.tuning_plan import TuningPlan
from sluice_worker.training.tuning_progress import Tuned

PLAN = "plan.json"
PR_SET_PDEATHSIG = 1


def tune(plan: TuningPlan) -> None:
    """Trains to the end from the last whole checkpoint, publishes, and leaves the mark that all is done."""
    cpu.keep_memory()
    if plan.threads:
        torch.set_num_threads(plan.threads)
    given = _sequences(plan, plan.records, tuning_checkpoints.RECORDS)
    dev = _sequences(plan, plan.dev_records, tuning_checkpoints.DEV_RECORDS) if plan.dev_records else None
    trainer, watch = tuning_trainer.trainer(plan, given, dev)
    # The trainer pickles the states of optimizer and random generators. Only this tuning reads them back, as weights
    # alone (DeepSpeed without that guard), from the folder that it wrote; they go when it is done, and never into what
    # is published.
    checkpoint, _ = tuning_checkpoints.last_whole(plan.out)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    folder, digest = tuning_result.publish(trainer, plan)
    if trainer.is_world_process_zero():
        last = watch.last
        Tuned(folder, digest, last.step, last.tokens, last.tokens_per_s, last.peak_bytes, given.tally).write(plan.out)
    if torch.distributed.is_initialized():  # together: one that ends alone takes the threads of the others down
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _sequences(plan: TuningPlan, records: Path, name: str) -> Sequences:
    """The fitted records: the first process writes them, the others wait for it."""
    path = plan.out / name
    if os.environ.get("RANK", "0") == "0" and not path.is_file():
        part = path.with_name(f".{name}.part")
        tuning_data.prepare(records, part, base=plan.base, tuning=plan.tuning)
        part.replace(path)
    while not path.is_file():  # torchrun ends this process when the first one fails
        time.sleep(0.1)
    return Sequences.read(path)


def main(out: Path) -> int:
    """Exit code 1 means that `tuning_fault` says why."""
    _bind_to_parent()
    try:
        tune(TuningPlan.model_validate_json((out / PLAN).read_bytes()))
    except Exception as exc:  # whatever it was, the parent must be told
        tuning_fault.write(out, exc)
        raise
    return 0


def _bind_to_parent() -> None:
    # torchrun gives its children sessions of their own, which a kill of its group does not reach.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
