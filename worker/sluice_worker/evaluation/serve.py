"""Scores an engine on annotated rows through the serving path: all that a worker does between claim and commit."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from sluice_schemas.document import Document, Language
from sluice_schemas.errors import BadInput, BadOutput
from sluice_schemas.extraction import Extraction, Mention
from sluice_schemas.schema import ExtractionSchema, Part, Task, Type
from sluice_worker.engine.request import Engine
from sluice_worker.evaluation.score import Score, gold_facts
from sluice_worker.plan import Limits
from sluice_worker.protocol.answer import ANNOTATION_FIELD, Annotation
from sluice_worker.protocol.records import EntityRecord, EventRecord, Record, RelationRecord
from sluice_worker.training.corpus import Row, Source
from sluice_worker.work import extract

THREADS = 16
"""Documents in work at once, as a worker's default is."""


@dataclass(frozen=True, slots=True)
class Case:
    """A text under a schema, with what should be found in it."""

    text: str
    schema: ExtractionSchema
    annotation: Annotation


def schema_of(source: Source, task: Task, language: Language) -> ExtractionSchema:
    """All labels of a data set as one schema, in the order of their first appearance."""
    labels = source.labels[ANNOTATION_FIELD[task]]
    types = tuple(Type(name=label, roles=_roles(source, task, label)) for label in labels)
    return ExtractionSchema(
        id=f"dev/{source.name.lower().replace('_', '-')}", version=1, task=task, language=language, types=types
    )


def _roles(source: Source, task: Task, label: str) -> tuple[Part, ...]:
    return tuple(Part(name=role) for role in source.roles.get(label, ())) if task in ("EE", "EEA") else ()


def cases(rows: Iterable[Row], schema: ExtractionSchema) -> list[Case]:
    """The rows that carry the annotation that the schema's task needs."""
    field = ANNOTATION_FIELD[schema.task]
    return [Case(row.text, schema, row.annotations[field]) for row in rows if field in row.annotations]


def score(engine: Engine, given: Sequence[Case], *, limits: Limits) -> Score:
    """Extracts every case as a worker does, many at once, and counts.

    A case that cannot be extracted counts as one in which nothing was found, and in `failed`.
    """
    result = Score()
    with ThreadPoolExecutor(THREADS) as pool:
        for case, done in zip(given, pool.map(partial(_extracted, engine, limits), given), strict=True):
            gold = gold_facts(case.schema.task, case.annotation)
            if done is None:
                result.failed += 1
                result.add([], gold)
                continue
            result.unparsed += sum(problem.kind == "unparsed" for problem in done.problems)
            result.add(records(done), gold)
    return result


def _extracted(engine: Engine, limits: Limits, case: Case) -> Extraction | None:
    try:
        return extract(Document(id="case", text=case.text), case.schema, engine=engine, limits=limits)
    except (BadInput, BadOutput):
        return None


def records(extraction: Extraction) -> list[Record]:
    """An extraction as the records it came from; an entity that stands in several places counts once.

    Of a graph the triples, by which it is scored (OneKE's protocol, section 9): an entity alone is none.
    """
    entities = () if extraction.task == "KG" else extraction.entities
    found: list[Record] = [*dict.fromkeys(EntityRecord(each.text, each.type or "") for each in entities)]
    found += dict.fromkeys(RelationRecord(each.head.text, each.type, each.tail.text) for each in extraction.relations)
    for event in extraction.events:
        arguments = tuple((each.value.text, each.role) for each in event.arguments)
        found.append(EventRecord(event.type, _text(event.trigger), arguments))
    return found


def _text(mention: Mention | None) -> str:
    return mention.text if mention else ""
