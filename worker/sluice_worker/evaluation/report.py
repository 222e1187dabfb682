"""A run's report for people: Markdown, and one HTML file with its plots in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluice_worker.evaluation.gate import Decision
from sluice_worker.evaluation.trial import Trial


@dataclass(frozen=True, slots=True)
class Past:
    """One run of the history: F1 in percent of champion and challenger over its test labels, and how it ended."""

    run_id: str
    champion: float
    challenger: float
    state: str


@dataclass(frozen=True, slots=True)
class Story:
    """What a report tells beside the trials. `facts` are lines for its head (name -> value, already for people).

    `losses` and `dev_losses` are pairs of a step and a loss; `history` holds earlier runs and this one, oldest first.
    """

    run_id: str
    scope: str
    facts: Mapping[str, str]
    losses: Sequence[tuple[int, float]]
    dev_losses: Sequence[tuple[int, float]]
    history: Sequence[Past]


def write(
    folder: Path,
    story: Story,
    *,
    champion: Trial,
    challenger: Trial,
    decision: Decision,
    golden: tuple[Trial, Trial] | None = None,
) -> tuple[Path, Path]:
    """Writes report.md and report.html, whole; their paths."""
    raise NotImplementedError
