"""The frozen golden set: labels that never train, by which every challenger is judged beside the newer ones."""

from pathlib import Path

from sluice_schemas.label import Label


def read(path: Path) -> list[Label]:
    """Its labels, a JSON message a line. Raises `Misconfigured` with the line that is none."""
    raise NotImplementedError


def families(path: Path) -> frozenset[str]:
    """The families (`sluice_schemas.labels`) of its documents: none of them may train."""
    raise NotImplementedError
