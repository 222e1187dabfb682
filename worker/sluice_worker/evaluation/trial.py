"""What a model does on labelled documents through the serving path: the rows that every comparison is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sluice_schemas.label import Label
from sluice_schemas.schema import ExtractionSchema, Task
from sluice_worker.engine.request import Engine
from sluice_worker.evaluation.counting import Row
from sluice_worker.evaluation.serve import Case
from sluice_worker.plan import Limits

RUNS = 3
"""Temperature 0 still varies with what shares a batch: three runs show by how much."""


@dataclass(frozen=True, slots=True)
class SchemaTrial:
    """One schema's documents, in one order for all trials of the same labels.

    `rows` are those of the first run: level -> (correct, predicted, gold) of each document. `labels` are sums by label
    and level. `f1s` is the F1 in percent of each run, over all levels; `unstable` counts documents whose facts differed
    between runs. `values` counts values that were given, `ungrounded` those of them that stand nowhere in the text.
    `failed` counts documents by why they could not be read at all (names of errors). `seconds` are those of each
    document in the first run.
    """

    ref: str
    task: Task
    rows: Mapping[str, Sequence[Row]]
    labels: Mapping[str, Mapping[str, Row]]
    f1s: Sequence[float]
    documents: int
    requests: int
    unparsed: int
    cut: int
    values: int
    ungrounded: int
    unstable: int
    failed: Mapping[str, int]
    seconds: Sequence[float]


@dataclass(frozen=True, slots=True)
class Trial:
    """All schemas of a trial, by ref. `model` and `adapter` (None is the bare model) say who was tried, `took_s` how
    long the first run took, `tokens` how many were generated in it.
    """

    model: str
    adapter: str | None
    schemas: Mapping[str, SchemaTrial]
    took_s: float
    tokens: int

    def as_json(self) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        raise NotImplementedError


def cases_of(labels: Sequence[Label], schemas: Mapping[str, ExtractionSchema]) -> dict[str, list[Case]]:
    """By schema ref, in the order given. Labels of a schema that `schemas` lacks raise KeyError."""
    raise NotImplementedError


def run(
    engine: Engine,
    cases: Mapping[str, Sequence[Case]],
    *,
    limits: Limits,
    adapter: str | None = None,
    runs: int = RUNS,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Trial:
    """Extracts every case `runs` times as a worker does, many at once, and counts.

    `adapter` names one that the engine has loaded. `on_progress` gets the share done and may raise to stop it.
    """
    raise NotImplementedError
