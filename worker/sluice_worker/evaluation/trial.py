"""What a model does on labelled documents through the serving path: the rows that every comparison is made of."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput, BadOutput, Misconfigured
from sluice_schemas.extraction import Extraction, Mention
from sluice_schemas.label import Label
from sluice_schemas.labels import oneke
from sluice_schemas.schema import ExtractionSchema, Task
from sluice_worker.engine.request import Engine
from sluice_worker.evaluation import serve
from sluice_worker.evaluation.counting import Counts, LevelCounts, Row
from sluice_worker.evaluation.outcome import label_name
from sluice_worker.evaluation.score import Facts, facts, gold_facts
from sluice_worker.evaluation.serve import Case
from sluice_worker.plan import Limits
from sluice_worker.work import extract

RUNS = 3
"""Temperature 0 still varies with what shares a batch: three runs show by how much."""


@dataclass(frozen=True, slots=True)
class SchemaTrial:
    """One schema's documents, in one order for all trials of the same labels.

    `rows` are those of the first run: level -> (correct, predicted, gold) of each document. `labels` are sums by label
    and level. `f1s` is the F1 in percent of each run, over all levels; `unstable` counts documents whose facts differed
    between runs. `values` counts values that were given, `ungrounded` those of them that stand nowhere in the text.
    `failed` counts documents by why they could not be read at all (names of errors). `seconds` are each document's
    median over the runs, None of one that was read in none: the first run alone would count what an engine takes to
    warm up, and the champion's is the first of all.
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
    seconds: Sequence[float | None]


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
        """Plain values, for a file."""
        return asdict(self)

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        """Reads what `as_json` gave, also after a file has made lists of its tuples."""
        schemas = {ref: SchemaTrial(**{**each, **_tuples(each)}) for ref, each in fields["schemas"].items()}
        return cls(**{**fields, "schemas": schemas})


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    rows = {level: tuple(tuple(row) for row in found) for level, found in fields["rows"].items()}
    labels = {level: {label: tuple(row) for label, row in found.items()} for level, found in fields["labels"].items()}
    return {"rows": rows, "labels": labels, "f1s": tuple(fields["f1s"]), "seconds": tuple(fields["seconds"])}


def cases_of(labels: Sequence[Label], schemas: Mapping[str, ExtractionSchema]) -> dict[str, list[Case]]:
    """By schema ref, in the order given. Labels of a schema that `schemas` lacks raise KeyError."""
    cases: dict[str, list[Case]] = {}
    for label in labels:
        schema = schemas[label.schema_ref]
        line = oneke.write(label, schema.task)
        cases.setdefault(schema.ref, []).append(Case(label.document.text, schema, line[oneke.FIELD[schema.task]]))
    return cases


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

    `adapter` names one that the engine has loaded. `on_progress` gets the share done and may raise to stop it. A
    document that cannot be read counts as one in which nothing was found. Raises `EngineDead` and other `Retryable`
    errors: they say nothing about the model.
    """
    listed = [case for each in cases.values() for case in each]
    passes, took_s = [], 0.0
    with ThreadPoolExecutor(serve.THREADS) as pool:
        for number in range(runs):
            started = time.monotonic()
            found = []
            for reading in pool.map(partial(_read, engine, limits, adapter), listed):
                found.append(reading)
                on_progress((number * len(listed) + len(found)) / (runs * len(listed)))
            passes.append(found)
            took_s = took_s or time.monotonic() - started
    schemas, begin = {}, 0
    for ref, each in cases.items():
        end = begin + len(each)
        schemas[ref] = _counted(ref, each, [found[begin:end] for found in passes])
        begin = end
    tokens = sum(each.extraction.usage.completion_tokens for each in passes[0] if each.extraction)
    return Trial(engine.card.name, adapter, schemas, round(took_s, 3), tokens)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One document, read once."""

    extraction: Extraction | None
    fault: str | None
    seconds: float

    @property
    def facts(self) -> Facts:
        return facts(serve.records(self.extraction)) if self.extraction else {}

    def problems(self, kind: str) -> int:
        return sum(each.kind == kind for each in self.extraction.problems) if self.extraction else 0

    @property
    def values(self) -> list[Mention]:
        if self.extraction is None:
            return []
        ends = [end for each in self.extraction.relations for end in (each.head, each.tail)]
        named = [value for each in self.extraction.events for _, value in each.named_values()]
        return [*self.extraction.entities, *ends, *named]


def _read(engine: Engine, limits: Limits, adapter: str | None, case: Case) -> _Reading:
    started = time.monotonic()
    try:
        document = Document(id="case", text=case.text)
        found = extract(document, case.schema, engine=engine, limits=limits, adapter=adapter)
    except (BadInput, BadOutput, Misconfigured) as exc:
        return _Reading(None, type(exc).__name__, time.monotonic() - started)
    return _Reading(found, None, time.monotonic() - started)


def _counted(ref: str, cases: Sequence[Case], passes: Sequence[Sequence[_Reading]]) -> SchemaTrial:
    task = cases[0].schema.task
    gold = [gold_facts(task, case.annotation) for case in cases]
    counts = [_counts(each, gold) for each in passes]
    first = passes[0]
    labels = {
        level: {label_name(name): (tally.correct, tally.predicted, tally.gold) for name, tally in each.labels.items()}
        for level, each in counts[0].items()
    }
    values = [value for reading in first for value in reading.values]
    return SchemaTrial(
        ref=ref,
        task=task,
        rows={level: tuple(each.rows) for level, each in counts[0].items()},
        labels=labels,
        f1s=tuple(round(f1([row for level in each.values() for row in level.rows]), 3) for each in counts),
        documents=len(cases),
        requests=sum(reading.extraction.usage.requests for reading in first if reading.extraction),
        unparsed=sum(reading.problems("unparsed") for reading in first),
        cut=sum(reading.problems("cut_answer") for reading in first),
        values=len(values),
        ungrounded=sum(value.status == "absent" for value in values),
        unstable=sum(len({_key(reading.facts) for reading in readings}) > 1 for readings in zip(*passes, strict=True)),
        failed=dict(Counter(reading.fault for reading in first if reading.fault)),
        seconds=tuple(_median_s(readings) for readings in zip(*passes, strict=True)),
    )


def _median_s(readings: Sequence[_Reading]) -> float | None:
    """Of the times it was read: one that fails is fast or slow for no good reason."""
    times = [each.seconds for each in readings if each.extraction]
    return round(statistics.median(times), 4) if times else None


def _counts(readings: Sequence[_Reading], gold: Sequence[Facts]) -> Counts:
    counts: Counts = {level: LevelCounts() for level in gold[0]}
    for reading, wanted in zip(readings, gold, strict=True):
        said = reading.facts
        for level, found in counts.items():
            found.add(level, said.get(level, Counter()), wanted[level])
    return counts


def f1(rows: Sequence[Row]) -> float:
    """Micro-F1 of rows, in percent; 0 where nothing was said and nothing wanted."""
    correct, predicted, gold = (sum(row[i] for row in rows) for i in range(3))
    return 200 * correct / (predicted + gold) if predicted + gold else 0.0


def by_document(found: SchemaTrial) -> list[Row]:
    """One row a document: its facts of all levels."""
    documents = zip(*found.rows.values(), strict=True)
    return [(sum(r[0] for r in rows), sum(r[1] for r in rows), sum(r[2] for r in rows)) for rows in documents]


def _key(found: Facts) -> frozenset[Any]:
    return frozenset((level, fact, times) for level, each in found.items() for fact, times in each.items())
