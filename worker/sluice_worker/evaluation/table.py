"""Scores for a terminal of 80 columns, Chinese labels included."""

import unicodedata
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sluice_worker.evaluation import resample
from sluice_worker.evaluation.comparison import Comparison
from sluice_worker.evaluation.counting import Section
from sluice_worker.evaluation.oneke import Figures
from sluice_worker.evaluation.outcome import Outcome, level_name
from sluice_worker.evaluation.resample import Interval
from sluice_worker.evaluation.score import Tally

LABELS_SHOWN = 30
CONFUSIONS_SHOWN = 10

_NAME_WIDTH = 26
_NAME_LENGTH = 80


def show(console: Console, outcome: Outcome) -> None:
    """Prints the scores, what to know about them, the labels, the confusions and the comparison."""
    for line in _head(outcome):
        console.print(Text(line), soft_wrap=True)
    console.print()
    console.print(_scores(outcome))
    for line in _notes(outcome):
        console.print(Text(line))
    for table in (_labels(outcome), _confusions(outcome)):
        if table.row_count:
            console.print()
            console.print(table)
    if outcome.comparison and outcome.other:
        console.print()
        _show_comparison(console, outcome.comparison, here=outcome.file.name, there=outcome.other.name)


def plain(text: str) -> str:
    """`text` on one line and harmless to a terminal: labels come from models, and may hold escape sequences."""
    return " ".join("".join(_plain_char(char) for char in text).split())


def _plain_char(char: str) -> str:
    category = unicodedata.category(char)
    if char.isspace():
        return " "
    if category in ("Cc", "Cs"):
        return "\N{REPLACEMENT CHARACTER}"
    return "" if category == "Cf" else char


def _head(outcome: Outcome) -> Iterator[str]:
    whole, rules = outcome.whole.section, outcome.rules
    counted = f"{_times(whole.documents, 'document')}, {_times(whole.outputs, 'output')}"
    yield f"{plain(outcome.file.name)}: {rules.task}, {counted}"
    yield rules.standing
    yield from (f"  {each}" for each in rules.departures)


def _times(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _scores(outcome: Outcome) -> Table:
    table = _table("Scores")
    _add_figures(table)
    table.add_column(f"F1, {resample.PERCENT} %", justify="right", no_wrap=True)
    _add_counts(table)
    for found in (outcome.whole, *outcome.groups):
        for each in found.scores:
            interval = each.intervals.f1 if each.intervals else None
            figures = (*_figures(each.figures), _interval(interval))
            table.add_row(_name(_section_name(found.section, each.level)), *figures, *_counts(each.tally))
    return table


def _section_name(section: Section, level: str) -> str:
    return section.name if len(section.rows) == 1 else f"{section.name}, {level}"


def _notes(outcome: Outcome) -> Iterator[str]:
    whole = outcome.whole.section
    yield f"Not parsed: {whole.unparsed:,} of {_times(whole.outputs, 'output')} ({whole.unparsed_share:.1%})."
    if whole.documents > 1:
        yield f"Intervals: percentile bootstrap over documents, {resample.RESAMPLES:,} resamples, seed {resample.SEED}."
    else:
        yield "No intervals: it takes two documents to see how scores vary."
    yield from outcome.notes


def _labels(outcome: Outcome) -> Table:
    labels = outcome.labels
    table = _table("Labels")
    _add_figures(table)
    _add_counts(table)
    for level in dict.fromkeys(each.level for each in labels):
        found = [each for each in labels if each.level == level]
        if len(outcome.whole.scores) > 1:
            table.add_row(Text(f"{level}s", "italic"))
        for each in found[:LABELS_SHOWN]:
            table.add_row(_name(each.label), *_figures(each.figures), *_counts(each.tally))
        _add_rest(table, len(found) - LABELS_SHOWN)
    return table


def _confusions(outcome: Outcome) -> Table:
    confusions = outcome.confusions
    table = _table("Same value, gold label")
    table.add_column("predicted label", overflow="fold", max_width=_NAME_WIDTH)
    table.add_column("values", justify="right")
    for each in sorted(confusions, key=lambda each: -each.count)[:CONFUSIONS_SHOWN]:
        table.add_row(_name(each.gold), _name(each.predicted), f"{each.count:,}")
    _add_rest(table, len(confusions) - CONFUSIONS_SHOWN)
    return table


def _show_comparison(console: Console, comparison: Comparison, *, here: str, there: str) -> None:
    names = f"{plain(there)} against {plain(here)}"
    console.print(Text(f"{names}, {_times(comparison.documents, 'document')} of both"), soft_wrap=True)
    table = _table("Level")
    for name in ("F1 here", "F1 there", "Gain", f"{resample.PERCENT} %", "Better", "Equal"):
        table.add_column(name, justify="right", no_wrap=True)
    for level, each in comparison.differences.items():
        shares = (f"{each.better_share:.1%}", f"{each.equal_share:.1%}")
        table.add_row(
            level_name(level),
            f"{each.here:.2f}",
            f"{each.there:.2f}",
            f"{each.gain:+.2f}",
            _interval(each.interval),
            *shares,
        )
    console.print(table)
    console.print(Text(f"Paired bootstrap; gain is {plain(there)} minus {plain(here)}."), soft_wrap=True)
    console.print("Better, equal: in which share of the resamples it scores higher, or the same.")
    for line in _left_out(comparison, here=plain(here), there=plain(there)):
        console.print(Text(line), soft_wrap=True)


def _left_out(comparison: Comparison, *, here: str, there: str) -> Iterator[str]:
    if comparison.only_here:
        yield f"Only in {here}, not compared: {_times(comparison.only_here, 'document')}."
    if comparison.only_there:
        yield f"Only in {there}, not compared: {_times(comparison.only_there, 'document')}."
    if comparison.other_gold:
        yield f"With other gold in {there}, not compared: {_times(comparison.other_gold, 'document')}."
    if not comparison.documents:
        yield "The files have no document with the same source, id and gold: nothing was compared."


def _table(title: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    # Names give way to figures: they alone may be folded onto further lines.
    table.add_column(title, overflow="fold", min_width=8, max_width=_NAME_WIDTH)
    return table


def _add_figures(table: Table) -> None:
    for name in ("P", "R", "F1"):
        table.add_column(name, justify="right", no_wrap=True, min_width=6)


def _add_counts(table: Table) -> None:
    for name in ("Correct", "Said", "Gold"):
        table.add_column(name, justify="right", no_wrap=True)


def _add_rest(table: Table, count: int) -> None:
    if count > 0:
        table.add_row(Text(f"and {count:,} more (--json)", "dim"))


def _name(text: str) -> Text:
    """Not all of a label that a model went on and on with."""
    shown = plain(text)
    return Text(shown if len(shown) <= _NAME_LENGTH else f"{shown[: _NAME_LENGTH - 1]}…")


def _figures(figures: Figures) -> Sequence[str]:
    return [f"{each:.2f}" for each in (figures.precision, figures.recall, figures.f1)]


def _counts(tally: Tally) -> Sequence[str]:
    return [f"{each:,}" for each in (tally.correct, tally.predicted, tally.gold)]


def _interval(interval: Interval | None) -> str:
    return f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "-"
