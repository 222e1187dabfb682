"""Gold against answers: counts by document, which everything else is made of, by label, and by confusion."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice_worker.evaluation.predictions import Document, Predictions
from sluice_worker.evaluation.rules import LEVELS, Claims
from sluice_worker.evaluation.score import Tally, label_and_value
from sluice_worker.protocol.records import ABSENT

Row = tuple[int, int, int]
"""Correct, predicted and gold facts of one document at one level."""

Mixup = tuple[Any, Any]
"""The gold label of a value and the label under which it was predicted instead."""


@dataclass(slots=True)
class LevelCounts:
    """One level of a task over a file: a row for each document, in file order, and sums by label and confusion."""

    rows: list[Row] = field(default_factory=list)
    labels: dict[Any, Tally] = field(default_factory=dict)
    confusion: Counter[Mixup] = field(default_factory=Counter)

    def add(self, level: str, said: Counter[Any], gold: Counter[Any]) -> None:
        """Counts one document by multiset intersection (OneKE's protocol, section 9)."""
        correct = 0
        for fact, times in gold.items():
            self._of(level, fact).gold += times
        for fact, times in said.items():
            hits = min(times, gold.get(fact, 0))
            tally = self._of(level, fact)
            tally.predicted += times
            tally.correct += hits
            correct += hits
        row = (correct, said.total(), gold.total())
        self.rows.append(row)
        if correct < min(row[1:]):
            self.confusion.update(mixups(level, said - gold, gold - said))

    def _of(self, level: str, fact: tuple[Any, ...]) -> Tally:
        label = label_and_value(level, fact)[0]
        tally = self.labels.get(label)
        if tally is None:
            tally = self.labels[label] = Tally()
        return tally


Counts = dict[str, LevelCounts]
"""Level -> its counts."""


def count(predictions: Predictions, claims: Claims) -> Counts:
    """Counts every document of a file."""
    counts = {level: LevelCounts() for level in LEVELS[predictions.task]}
    for document in predictions.documents.values():
        said, gold = claims(document.said), claims(document.gold)
        for level, found in counts.items():
            found.add(level, said.get(level, Counter()), gold.get(level, Counter()))
    return counts


def mixups(level: str, wrong: Counter[Any], missed: Counter[Any]) -> Counter[Mixup]:
    """Each pair of a missed gold label and a wrong label that one value has in one document."""
    wanted: dict[Any, Counter[Any]] = {}
    for fact, times in missed.items():
        label, value = label_and_value(level, fact)
        wanted.setdefault(value, Counter())[label] += times
    found: Counter[Mixup] = Counter()
    for fact, times in wrong.items():
        label, value = label_and_value(level, fact)
        if value not in ("", ABSENT):
            for missed_label, missed_times in wanted.get(value, {}).items():
                found[(missed_label, label)] += min(times, missed_times)
    return found


@dataclass(frozen=True, slots=True)
class Section:
    """The sums over some documents of a file; `rows` are theirs by level."""

    name: str
    documents: int
    outputs: int
    unparsed: int
    rows: dict[str, list[Row]]

    @property
    def unparsed_share(self) -> float:
        return self.unparsed / self.outputs if self.outputs else 0.0

    def tally(self, level: str) -> Tally:
        """The sums at one level."""
        rows = self.rows[level]
        return Tally(*(sum(row[index] for row in rows) for index in range(3)))


def total(predictions: Predictions, counts: Counts) -> Section:
    """The whole file."""
    return _section("total", [*predictions.documents.values()], {level: each.rows for level, each in counts.items()})


def sections(predictions: Predictions, counts: Counts) -> list[Section]:
    """The documents by group, in the order of the groups' names."""
    members: dict[str, list[int]] = {}
    documents = list(predictions.documents.values())
    for index, document in enumerate(documents):
        members.setdefault(document.group, []).append(index)
    return [
        _section(
            name,
            [documents[index] for index in found],
            {level: [each.rows[index] for index in found] for level, each in counts.items()},
        )
        for name, found in sorted(members.items())
    ]


def _section(name: str, documents: Sequence[Document], rows: dict[str, list[Row]]) -> Section:
    outputs, unparsed = sum(each.outputs for each in documents), sum(each.unparsed for each in documents)
    return Section(name, len(documents), outputs, unparsed, rows)
