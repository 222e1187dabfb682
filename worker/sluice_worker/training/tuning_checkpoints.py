"""Where a tuning can go on from: only checkpoints that are whole on disk count."""

import os
import shutil
from pathlib import Path

FOLDER = "checkpoints"
RECORDS, DEV_RECORDS = "records.safetensors", "dev_records.safetensors"
"""The fitted records, which stay as they are when a tuning goes on."""
WHOLE = "whole"
"""The file that is put into a checkpoint last, once all else in it is on disk."""


def last_whole(out: Path) -> tuple[Path | None, int]:
    """The checkpoint to go on from, and its step; None and 0 where there is none."""
    found = {_step(folder): folder for folder in _folders(out) if (folder / WHOLE).is_file()}
    step = max(found, default=0)
    return found.get(step), step


def clean(out: Path) -> int:
    """Removes checkpoints that are not whole; the step of the one to go on from. For one process alone."""
    for folder in _folders(out):
        if not (folder / WHOLE).is_file():
            shutil.rmtree(folder)
    return last_whole(out)[1]


def mark(out: Path, step: int) -> None:
    """Says that the checkpoint of a step is whole."""
    folder = out / FOLDER / f"checkpoint-{step}"
    sync(folder)
    (folder / WHOLE).touch()
    sync(folder)


def drop(out: Path) -> None:
    """Removes all that a tuning goes on from, since it is done."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)
    for name in (RECORDS, DEV_RECORDS):
        (out / name).unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Waits until a folder and all that is in it are on disk."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _folders(out: Path) -> list[Path]:
    return [*(out / FOLDER).glob("checkpoint-*")]


def _step(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])
