"""The frozen golden set: labels that never train, by which every challenger is judged beside the newer ones."""

import hashlib
from pathlib import Path

from sluice_schemas.errors import BadInput, Misconfigured
from sluice_schemas.label import Label
from sluice_schemas.labels.family import NEAR, Sketch, similarity, sketch


def read(path: Path) -> list[Label]:
    """Its labels, a JSON message a line. Raises `Misconfigured` with the line that is none, and for an empty file."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        raise Misconfigured(f"The labels in {path} cannot be read ({exc.strerror}); check the path.") from exc
    found = [_label(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise Misconfigured(f"{path} holds no labels; `sluice labels export` writes some.")
    return found


def digest(path: Path) -> str:
    """SHA-256 of the file: a golden set is frozen, and whoever compares runs must see that it was the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Families:
    """The documents of a golden set, and all that are nearly equal to one of them: none may train."""

    def __init__(self, labels: list[Label]) -> None:
        self._sketches = [sketch(each.document.text) for each in labels]
        self._by_band: dict[str, list[Sketch]] = {}
        for each in self._sketches:
            for band in each.bands:
                self._by_band.setdefault(band, []).append(each)

    def holds(self, text: str) -> bool:
        """Whether a text is one of them."""
        if not self._sketches:
            return False
        made = sketch(text)
        near = (each for band in made.bands for each in self._by_band.get(band, ()))
        return any(each.digest == made.digest or similarity(each.signature, made.signature) >= NEAR for each in near)


def _label(path: Path, number: int, line: bytes) -> Label:
    try:
        return Label.decode(line)
    except BadInput as exc:
        raise Misconfigured(f"{path}, line {number} is no label: {exc}") from exc
