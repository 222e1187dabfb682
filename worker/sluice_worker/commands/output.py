"""Files that commands write: whole or not at all, and never over what they read."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sluice_schemas.errors import BadInput


def check_target(target: Path, *sources: Path) -> None:
    """Raises `BadInput` when there is no folder for `target`, or when it is one of the files to read."""
    if not target.absolute().parent.is_dir():
        raise BadInput(f"There is no folder {target.absolute().parent} to write to; make it first.")
    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise BadInput(f"{source} would be overwritten; give another name to write to.")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when it is complete, with the mode of the one it replaces.

    What is no file of its own, such as a pipe or /dev/stdout, is written to directly.
    """
    if path.parts[:2] in (("/", "dev"), ("/", "proc")) or (path.exists() and not path.is_file()):
        with path.open("ab") as file:
            yield file
        return
    path = path.resolve()  # a link stays one
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    except BaseException:  # also when the run is interrupted
        part.unlink(missing_ok=True)
        raise
