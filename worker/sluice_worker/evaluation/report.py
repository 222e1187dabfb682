"""A run's report for people: Markdown, and one HTML file with its plots in it. Neither holds text of a document."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluice_schemas.whole_file import whole_file
from sluice_worker.evaluation import plots, report_page, resample
from sluice_worker.evaluation.gate import Decision
from sluice_worker.evaluation.oneke import figures
from sluice_worker.evaluation.report_page import Page, Picture, Section, Table
from sluice_worker.evaluation.score import Tally
from sluice_worker.evaluation.trial import SchemaTrial, Trial, by_document

Trials = tuple[Trial, Trial]
"""Champion and challenger."""


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
    golden: Trials | None = None,
) -> tuple[Path, Path]:
    """Writes report.md and report.html, whole; their paths."""
    verdict = "promoted" if decision.is_better else "rejected"
    sections = [_checks(decision), *_trials("Test labels", (champion, challenger))]
    if golden is not None:
        sections += _trials("Golden set", golden)
    sections += [*_training(story), _runs(story)]
    page = Page(f"Run {story.run_id}: {verdict}", decision.reason, story.facts, sections)
    paths = folder / "report.md", folder / "report.html"
    for path, text in zip(paths, (report_page.markdown(page), report_page.html(page)), strict=True):
        with whole_file(path) as file:
            file.write(text.encode())
    return paths


def _checks(decision: Decision) -> Section:
    rows = [
        [each.name, each.schema or "all", "passed" if each.is_passed else "FAILED", each.sentence]
        for each in decision.checks
    ]
    return Section("What the gate asked", [Table(("check", "schema", "outcome", "what was seen"), rows, text=4)])


def _trials(title: str, trials: Trials) -> Iterator[Section]:
    refs = sorted(trials[0].schemas)
    pairs = [(trials[0].schemas[ref], trials[1].schemas[ref]) for ref in refs]
    scores = Table(
        ("schema", "task", "documents", "champion F1", "challenger F1", "gain"),
        [_score(*pair) for pair in pairs],
        text=2,
    )
    faults = Table(
        ("schema", "", "unparsed", "ungrounded", "unsteady", "failed", "median s", "F1 of each run"),
        [row for pair in pairs for row in _faults(*pair)],
        text=2,
    )
    yield Section(title, [scores, faults], [_bars(pairs)])
    for mine, theirs in pairs:
        rows = [*_labels(mine, theirs)]
        if rows:
            heads = ("level", "label", "marked", "champion P, R, F1", "challenger P, R, F1")
            yield Section(f"{title}: labels of {mine.ref}", [Table(heads, rows, text=2)])


def _score(mine: SchemaTrial, theirs: SchemaTrial) -> list[str]:
    found = resample.difference(by_document(mine), by_document(theirs))
    spread = "" if found.interval is None else f" ({found.interval[0]:+.1f} to {found.interval[1]:+.1f})"
    scores = [f"{value:.1f}{_between(_interval(each))}" for value, each in ((found.here, mine), (found.there, theirs))]
    return [mine.ref, mine.task, str(mine.documents), *scores, f"{found.gain:+.1f}{spread}"]


def _faults(mine: SchemaTrial, theirs: SchemaTrial) -> Iterator[list[str]]:
    for role, each in (("champion", mine), ("challenger", theirs)):
        yield [
            each.ref if role == "champion" else "",
            role,
            _share(each.unparsed, each.requests),
            _share(each.ungrounded, each.values),
            _share(each.unstable, each.documents),
            ", ".join(f"{count} {name}" for name, count in sorted(each.failed.items())) or "0",
            f"{statistics.median(times):.2f}" if (times := [s for s in each.seconds if s is not None]) else "-",
            ", ".join(f"{score:.1f}" for score in each.f1s),
        ]


def _labels(mine: SchemaTrial, theirs: SchemaTrial) -> Iterator[list[str]]:
    for level in sorted(mine.labels.keys() | theirs.labels.keys()):
        here, there = mine.labels.get(level, {}), theirs.labels.get(level, {})
        for label in sorted(
            here.keys() | there.keys(), key=lambda name: (-max(_gold(here, name), _gold(there, name)), name)
        ):
            yield [
                level,
                label,
                str(max(_gold(here, label), _gold(there, label))),
                *(_measures(each.get(label, (0, 0, 0))) for each in (here, there)),
            ]


def _gold(labels: Mapping[str, tuple[int, int, int]], name: str) -> int:
    return labels.get(name, (0, 0, 0))[2]


def _measures(row: tuple[int, int, int]) -> str:
    found = figures(Tally(*row))
    return f"{found.precision:.1f}, {found.recall:.1f}, {found.f1:.1f}"


def _bars(pairs: Sequence[tuple[SchemaTrial, SchemaTrial]]) -> Picture:
    bars = []
    for mine, theirs in pairs:
        found = resample.difference(by_document(mine), by_document(theirs))
        bars.append(plots.Bar(mine.ref, found.here, found.there, _interval(mine), _interval(theirs)))
    return Picture("F1 by schema, with 95 % intervals", plots.by_schema(bars))


def _training(story: Story) -> Iterator[Section]:
    if story.losses:
        picture = Picture("The mean loss of an answer's token over steps", plots.losses(story.losses, story.dev_losses))
        yield Section("Training", [], [picture])


def _runs(story: Story) -> Section:
    rows = [
        [str(i), each.run_id, each.state, f"{each.champion:.1f}", f"{each.challenger:.1f}"]
        for i, each in enumerate(story.history, start=1)
    ]
    table = Table(("", "run", "ended", "champion F1", "challenger F1"), rows, text=3)
    drawn = plots.over_runs(
        [each.run_id for each in story.history],
        [each.champion for each in story.history],
        [each.challenger for each in story.history],
    )
    return Section("Runs", [table], [Picture("F1 over runs, each on its own test labels", drawn)])


def _interval(each: SchemaTrial) -> tuple[float, float] | None:
    found = resample.intervals(by_document(each))
    return found.f1 if found else None


def _between(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.1f} to {interval[1]:.1f})"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else "-"
