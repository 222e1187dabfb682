"""All that `sluice evaluate` found, once for the terminal and once as JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sluice_worker.evaluation import oneke, resample
from sluice_worker.evaluation.comparison import Comparison
from sluice_worker.evaluation.counting import Counts, Section
from sluice_worker.evaluation.oneke import Figures, figures
from sluice_worker.evaluation.predictions import Predictions
from sluice_worker.evaluation.resample import Intervals
from sluice_worker.evaluation.rules import Rules
from sluice_worker.evaluation.score import Tally


@dataclass(frozen=True, slots=True)
class LevelScore:
    """One level of a section: the original's figures, and how far they may be luck."""

    level: str
    figures: Figures
    tally: Tally
    intervals: Intervals | None


@dataclass(frozen=True, slots=True)
class Scored:
    """The whole file or a group of its documents, with a score for each level."""

    section: Section
    scores: list[LevelScore]


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label; of an argument: event type and role."""

    level: str
    label: str
    figures: Figures
    tally: Tally


@dataclass(frozen=True, slots=True)
class Confusion:
    """`count` values of the label `gold` were predicted under the label `predicted`."""

    level: str
    gold: str
    predicted: str
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one file scores; `comparison` with the file `other`, when there is one."""

    file: Path
    rules: Rules
    predictions: Predictions
    whole: Scored
    groups: list[Scored]
    counts: Counts
    other: Path | None = None
    comparison: Comparison | None = None

    @property
    def labels(self) -> list[LabelScore]:
        """By level; the most frequent in the gold first, then by name."""
        return [
            LabelScore(level_name(level), label_name(label), figures(tally), tally)
            for level, found in self.counts.items()
            for label, tally in sorted(found.labels.items(), key=lambda each: (-each[1].gold, each[0]))
        ]

    @property
    def confusions(self) -> list[Confusion]:
        """By level, the most frequent first."""
        return [
            Confusion(level_name(level), label_name(gold), label_name(predicted), times)
            for level, found in self.counts.items()
            for (gold, predicted), times in sorted(found.confusion.items(), key=lambda each: (-each[1], each[0]))
        ]

    @property
    def notes(self) -> list[str]:
        """A sentence for each thing a reader of the scores should know."""
        return [*_line_notes(self.predictions), *([_EEA_NOTE] if self._is_triggerless else [])]

    @property
    def _is_triggerless(self) -> bool:
        return self.rules.task == "EEA" and not self.rules.is_clean

    def original(self) -> dict[str, dict[str, Any]]:
        """The original's result file."""
        return oneke.result(self.rules.task, self.whole.section, [each.section for each in self.groups])

    def as_json(self) -> dict[str, Any]:
        """Everything, with shares in 0..1 and scores in percent."""
        return {
            "file": str(self.file),
            "rules": _rules(self.rules),
            **_scored(self.whole),
            "bootstrap": {"resamples": resample.RESAMPLES, "seed": resample.SEED, "percent": resample.PERCENT},
            "groups": [{"group": each.section.name, **_scored(each)} for each in self.groups],
            "labels": [
                {"level": each.level, "label": each.label, **_figures(each.figures, each.tally)} for each in self.labels
            ],
            "confusion": [asdict(each) for each in self.confusions],
            "bad_lines": [asdict(each) for each in self.predictions.bad_lines],
            "notes": self.notes,
            "original": self.original(),
            "comparison": self.comparison and {"other": str(self.other), **_comparison(self.comparison)},
        }


_EEA_NOTE = (
    "The event level is what the original gives: it holds gold without triggers against answers with them, so it is "
    "about 0. Read the argument level; --clean looks at no trigger."
)


def scored(section: Section) -> Scored:
    """The scores of a section; the intervals take about a millisecond a level, or a second for very many documents."""
    tallies = {level: section.tally(level) for level in section.rows}
    scores = [
        LevelScore(level_name(level), figures(tally), tally, resample.intervals(section.rows[level]))
        for level, tally in tallies.items()
    ]
    return Scored(section, scores)


def level_name(level: str) -> str:
    """As the original's result calls it."""
    return "event" if level == "trigger" else level


def label_name(label: Any) -> str:
    """A label for people: an argument's is its event type and role."""
    return " / ".join(label) if isinstance(label, tuple) else str(label)


def as_text(value: Any, *, indent: int) -> bytes:
    """JSON with non-ASCII kept. What UTF-8 cannot hold, halves of surrogate pairs, is written as a JSON escape."""
    return json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "backslashreplace")


def _rules(rules: Rules) -> dict[str, Any]:
    return {**asdict(rules), "standing": rules.standing, "departures": rules.departures}


def _scored(found: Scored) -> dict[str, Any]:
    section = found.section
    return {
        "documents": section.documents,
        "outputs": section.outputs,
        "unparsed": section.unparsed,
        "unparsed_share": section.unparsed_share,
        "scores": [
            {
                "level": each.level,
                **_figures(each.figures, each.tally),
                "intervals": each.intervals and asdict(each.intervals),
            }
            for each in found.scores
        ],
    }


def _figures(found: Figures, tally: Tally) -> dict[str, Any]:
    return {**asdict(found), **asdict(tally)}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    fields = asdict(comparison)
    differences = fields.pop("differences")
    return {**fields, "differences": [{"level": level_name(level), **each} for level, each in differences.items()]}


def _line_notes(predictions: Predictions) -> Iterator[str]:
    bad, task = len(predictions.bad_lines), predictions.task
    if bad:
        yield f"Bad lines, not counted and named on standard error: {bad:,}."
    if predictions.repeated:
        yield (
            f"Lines that ask what their document was asked before: {predictions.repeated:,}. Equal texts share an id, "
            "and what is said again counts again."
        )
    if predictions.other_labels:
        yield f"Lines with another label than the first of their document, which counts: {predictions.other_labels:,}."
    if predictions.other_tasks:
        yield f"Lines that name another task, counted as {task} all the same: {predictions.other_tasks:,}."
