"""The numbers and the result file of OneKE's own evaluation, to the last digit (its protocol, section 9)."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice_schemas.schema import Task
from sluice_worker.evaluation.counting import Section
from sluice_worker.evaluation.rules import LEVELS
from sluice_worker.evaluation.score import Tally

TOTAL = "total"
_PREFIXES = {"trigger": "event_", "argument": "argument_"}


@dataclass(frozen=True, slots=True)
class Figures:
    """In percent with two decimals, 0 where undefined. F1 comes from the rounded P and R, as published scores do."""

    precision: float
    recall: float
    f1: float


def figures(tally: Tally) -> Figures:
    """The original's figures: tp 1, predicted 1, gold 6 gives P 100, R 16.67 and so F1 28.58."""
    precision, recall = _percent(tally.correct, tally.predicted), _percent(tally.correct, tally.gold)
    both = precision + recall
    return Figures(precision, recall, round(2 * precision * recall / both, 2) if both else 0.0)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def result(task: Task, whole: Section, groups: Iterable[Section] = ()) -> dict[str, dict[str, Any]]:
    """What the original prints and writes: `total`, then one entry for each group.

    A group called `total` stands as `total (group)`; in the original it replaces the totals.
    """
    named = {f"{TOTAL} (group)" if each.name == TOTAL else each.name: each for each in groups}
    return {TOTAL: _entry(task, whole), **{name: _entry(task, each) for name, each in named.items()}}


def _entry(task: Task, section: Section) -> dict[str, Any]:
    entry: dict[str, Any] = {"总样本数": section.documents, "错误数": section.unparsed}
    levels = LEVELS[task]
    for level in levels:
        prefix = _PREFIXES[level] if len(levels) > 1 else ""
        found = figures(section.tally(level))
        entry |= {f"{prefix}P": found.precision, f"{prefix}R": found.recall, f"{prefix}F1": found.f1}
    return entry


def result_path(file: Path) -> Path:
    """Where the original writes its result for a prediction file."""
    return file.parent / "output_msg" / file.name
