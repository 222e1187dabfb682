"""What the proof measures: extractions against what people marked, and the plot of it over time."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

from sluice_schemas.extraction import Extraction
from sluice_worker.evaluation import resample, serve
from sluice_worker.evaluation.counting import Row as Counted
from sluice_worker.evaluation.score import facts, gold_facts
from sluice_worker.training.corpus import Row

matplotlib.use("Agg")
from matplotlib import pyplot


@dataclass(frozen=True, slots=True)
class Measured:
    """A set of documents as one model read it: a row a document (correct, predicted, gold). F1 in percent."""

    name: str
    rows: tuple[Counted, ...]
    kind: str = "serves"

    @property
    def f1(self) -> float:
        correct, predicted, gold = (sum(row[i] for row in self.rows) for i in range(3))
        return 200 * correct / (predicted + gold) if predicted + gold else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        found = resample.intervals(self.rows)
        return found.f1 if found else (self.f1, self.f1)


def measured(name: str, rows: Sequence[Row], found: Sequence[Extraction]) -> Measured:
    """Strict micro-F1 of extractions against the marks of the same rows."""
    counted = []
    for row, extraction in zip(rows, found, strict=True):
        said = facts(serve.records(extraction)).get("fact", Counter())
        gold = gold_facts("NER", row.annotations["entity"])["fact"]
        counted.append(((gold & said).total(), said.total(), gold.total()))
    return Measured(name, tuple(counted))


def plot(points: Sequence[Measured], path: Path) -> None:
    """F1 with its interval, from left to right as it was measured; what was rejected is hollow."""
    figure, axes = pyplot.subplots(figsize=(8, 3.6), dpi=150)
    for i, each in enumerate(points):
        low, high = each.interval
        colour = "#b4441f" if each.kind == "rejected" else "#1f6f8b"
        axes.errorbar(
            i,
            each.f1,
            yerr=[[max(0.0, each.f1 - low)], [max(0.0, high - each.f1)]],
            fmt="o",
            color=colour,
            markerfacecolor="white" if each.kind == "rejected" else colour,
            markersize=8,
            capsize=4,
        )
        axes.annotate(f"{each.f1:.1f}", (i, each.f1), xytext=(10, -3), textcoords="offset points", color=colour)
    serving = [(i, each.f1) for i, each in enumerate(points) if each.kind == "serves"]
    axes.plot(*zip(*serving, strict=True), color="#1f6f8b", linewidth=1, zorder=0)
    axes.set_xticks(range(len(points)), [each.name for each in points])
    axes.set_xlim(-0.5, len(points) - 0.3)
    axes.set_ylim(0, 100)
    axes.set_ylabel("F1, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    drawn = io.BytesIO()
    figure.tight_layout()
    figure.savefig(drawn, format=path.suffix[1:])
    path.write_bytes(drawn.getvalue())
    pyplot.close(figure)
