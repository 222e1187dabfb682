"""How far a tuning is: lines of JSON that its process writes and its parent reads, and what there is in the end."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import orjson

from sluice_schemas.whole_file import whole_file

FILE = "progress.jsonl"
RESULT = "tuned.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """After `step` of `steps`. `tokens` counts those of the sequences so far, `peak_bytes` memory of the first process.

    `loss` is the mean loss of an answer's token since the line before; `dev_loss` that on the dev records, where it was
    taken.
    """

    step: int
    steps: int
    loss: float | None = None
    learning_rate: float = 0.0
    tokens: int = 0
    tokens_per_s: float = 0.0
    peak_bytes: int = 0
    dev_loss: float | None = None

    @property
    def share(self) -> float:
        return self.step / self.steps if self.steps else 1.0

    @property
    def line(self) -> bytes:
        return orjson.dumps(asdict(self)) + b"\n"


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a tuning left: `folder` is an adapter, or a model after full tuning, `digest` its content's.

    `losses` and `dev_losses` are pairs of a step and a loss; `tally` says how many records were kept and left out.
    """

    folder: Path
    digest: str
    steps: int
    tokens: int
    tokens_per_s: float
    peak_bytes: int
    tally: dict[str, Any]
    losses: tuple[tuple[int, float], ...] = ()
    dev_losses: tuple[tuple[int, float], ...] = ()

    def write(self, out: Path) -> None:
        """Leaves the mark that the tuning in `out` is done; its losses stand in the progress file."""
        fields = {**asdict(self), "folder": self.folder.name, "losses": None, "dev_losses": None}
        with whole_file(out / RESULT) as file:
            file.write(orjson.dumps(fields))

    @classmethod
    def read(cls, out: Path) -> Self | None:
        """What is done in `out`; None where nothing is."""
        if not (out / RESULT).is_file():
            return None
        fields = orjson.loads((out / RESULT).read_bytes())
        losses, dev_losses = series([*read(out)])
        done = cls(**{**fields, "folder": out / fields["folder"]})
        return replace(done, losses=losses, dev_losses=dev_losses)


def read(out: Path, *, after: int = 0) -> Iterator[Progress]:
    """The whole lines from byte `after` on."""
    if not (out / FILE).is_file():
        return
    with (out / FILE).open("rb") as file:
        file.seek(after)
        for line in file:
            if line.endswith(b"\n"):
                yield Progress(**orjson.loads(line))


def forget_after(out: Path, step: int) -> None:
    """Drops lines of steps that will be done again, since they were after the last checkpoint."""
    kept = [each for each in read(out) if each.step <= step]
    with whole_file(out / FILE) as file:
        file.writelines(each.line for each in kept)


Series = tuple[tuple[int, float], ...]


def series(lines: Sequence[Progress]) -> tuple[Series, Series]:
    """Losses and dev losses by step."""
    losses = tuple((each.step, each.loss) for each in lines if each.loss is not None)
    return losses, tuple((each.step, each.dev_loss) for each in lines if each.dev_loss is not None)
