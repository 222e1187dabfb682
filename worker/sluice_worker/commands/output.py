"""Files that commands write never lie over what they read."""

from pathlib import Path

from sluice_schemas.errors import BadInput


def check_target(target: Path, *sources: Path) -> None:
    """Raises `BadInput` when there is no folder for `target`, or when it is one of the files to read."""
    if not target.absolute().parent.is_dir():
        raise BadInput(f"There is no folder {target.absolute().parent} to write to; make it first.")
    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise BadInput(f"{source} would be overwritten; give another name to write to.")
