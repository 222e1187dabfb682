"""Runs a tuning in processes of its own: a crash, a leak or a kill there is a sentence here."""

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import orjson

from sluice_schemas.errors import Conflict, Lost, Misconfigured, Retryable
from sluice_schemas.whole_file import whole_file
from sluice_worker.engine import adapters, cpu, model_folder
from sluice_worker.process.redis_server import bound_to_parent, free_port
from sluice_worker.training import tuning_checkpoints, tuning_fault, tuning_origin, tuning_progress
from sluice_worker.training.tuning_plan import TuningPlan
from sluice_worker.training.tuning_progress import Progress, Tuned

__all__ = ["Progress", "Tuned", "run"]

MODULE = "sluice_worker.training.tune"
PLAN, IDENTITY, LOCK = "plan.json", "identity.json", "lock"
LOOK_EVERY_S = 0.2
GRACE_S = 5.0
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}


def run(plan: TuningPlan, *, on_progress: Callable[[Progress], None], gone: threading.Event) -> Tuned:
    """Tunes to the end, or goes on from the last checkpoint in `plan.out`; what is done already returns at once.

    Raises `Lost` when `gone` is set before the end, `Misconfigured` for what a setting must change, `Conflict` when
    `out` holds another tuning, and `Retryable` when the processes crashed, were killed, or could not write.
    """
    _check(plan)
    plan = plan.model_copy(update={name: _absolute(getattr(plan, name)) for name in _PATHS})
    plan.out.mkdir(parents=True, exist_ok=True)
    with _held(plan.out) as lock:
        _claim(plan)
        if done := _done(plan):
            return done
        (plan.out / tuning_fault.FILE).unlink(missing_ok=True)
        tuning_progress.forget_after(plan.out, tuning_checkpoints.clean(plan.out))
        with whole_file(plan.out / PLAN) as file:
            file.write(plan.model_dump_json().encode())
        _attend(plan, lock, on_progress, gone)
        done = _done(plan)
    if done is None:
        raise Retryable(f"The tuning ended without a result; {plan.out / tuning_fault.LOG} may say why.")
    return done


_PATHS = ("base", "records", "dev_records", "out", "start_from")


def _absolute(path: Path | None) -> Path | None:
    return path and Path(os.path.abspath(path))


def _check(plan: TuningPlan) -> None:
    if not plan.base.is_dir():
        raise Misconfigured(f"There is no model folder {plan.base}. Give the folder of the base model.")
    model_folder.check(plan.base)
    for records in filter(None, (plan.records, plan.dev_records)):
        if not records.is_file():
            raise Misconfigured(f"There are no records in {records}. Make them with `sluice convert --split train`.")
    tuning_origin.check(plan)


@contextmanager
def _held(out: Path) -> Iterator[BinaryIO]:
    """A lock that the processes inherit: it is free when the last of them has ended, whoever started them."""
    with (out / LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Retryable(f"Another process still tunes in {out}. Wait for it, or end it.") from exc
        yield lock


def _claim(plan: TuningPlan) -> None:
    """Raises `Conflict` when another tuning was begun in the folder."""
    wanted = _identity(plan)
    path = plan.out / IDENTITY
    if not path.is_file():
        with whole_file(path) as file:
            file.write(orjson.dumps(wanted, option=orjson.OPT_INDENT_2))
        return
    found = orjson.loads(path.read_bytes())
    if other := [name for name in wanted if found.get(name) != wanted[name]]:
        raise Conflict(
            f"{plan.out} holds a tuning with other {', '.join(other)}. Give another folder, or remove this one."
        )


def _identity(plan: TuningPlan) -> dict[str, object]:
    """What makes a tuning what it is; devices and processes may change on the way, unless DeepSpeed shares states."""
    spread = {} if plan.deepspeed == "none" else {"deepspeed": f"{plan.deepspeed} on {plan.processes}"}
    return {
        "settings": plan.tuning.model_dump(mode="json"),
        "base": model_folder.digest(plan.base),
        "records": _digest(plan.records),
        "dev_records": plan.dev_records and _digest(plan.dev_records),
        "start_from": plan.start_from and adapters.check(plan.start_from, max_rank=plan.max_rank),
        **spread,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:20]


def _done(plan: TuningPlan) -> Tuned | None:
    """The result, if it is there and still what it was."""
    done = Tuned.read(plan.out)
    if done is None:
        return None
    is_full = plan.tuning.method == "full"
    found = model_folder.digest(done.folder) if is_full else adapters.check(done.folder, max_rank=plan.max_rank)
    if found != done.digest:
        raise Misconfigured(f"{done.folder} has changed since it was made. Remove {plan.out}, and tune again.")
    tuning_checkpoints.drop(plan.out)
    return done


def _attend(plan: TuningPlan, lock: BinaryIO, on_progress: Callable[[Progress], None], gone: threading.Event) -> None:
    """Starts the processes and reads what they tell, until they end or are to end."""
    told = (plan.out / tuning_progress.FILE).stat().st_size
    with (plan.out / tuning_fault.LOG).open("wb") as log:
        process = subprocess.Popen(
            [*bound_to_parent(), *_command(plan)],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            env=_environment(plan),
        )
    try:
        while process.poll() is None:
            if gone.wait(LOOK_EVERY_S):
                raise Lost("The tuning was stopped. Started again, it goes on from its last checkpoint.")
            told = _tell(plan.out, told, on_progress)
    finally:
        _end(process)
    _tell(plan.out, told, on_progress)
    # What is published is whole, even if a process stumbled at its exit.
    if process.returncode and Tuned.read(plan.out) is None:
        raise tuning_fault.read(plan.out, process.returncode)


def _tell(out: Path, told: int, on_progress: Callable[[Progress], None]) -> int:
    for each in tuning_progress.read(out, after=told):
        on_progress(each)
        told += len(each.line)
    return told


def _command(plan: TuningPlan) -> list[str]:
    if plan.processes == 1 and plan.deepspeed == "none":
        return [sys.executable, "-m", MODULE, str(plan.out)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--max-restarts", "0"]
    place = ["--master-addr", "127.0.0.1", "--master-port", str(free_port()), "--nnodes", "1"]
    return [*torchrun, *place, "--nproc-per-node", str(plan.processes), "-m", MODULE, str(plan.out)]


def _environment(plan: TuningPlan) -> dict[str, str]:
    """This process's own, without our settings and their secrets: a tuning needs none."""
    cpu.behave()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    threads = plan.threads or max(1, (os.cpu_count() or 1) // plan.processes)
    # Processes of one machine talk over loopback, whatever its name resolves to.
    loopback = "lo" if sys.platform == "linux" else "lo0"
    return {**kept, **OFFLINE, "OMP_NUM_THREADS": str(threads), "GLOO_SOCKET_IFNAME": loopback}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends what is left of the processes: asked first, for torchrun must end its own."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
