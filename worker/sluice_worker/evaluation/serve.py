"""Scores an engine on annotated rows through the serving path: the same plan, prompts and parser as in production."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sluice_schemas.document import Document, Language
from sluice_schemas.schema import ExtractionSchema, Part, Task, Type
from sluice_worker.engine.request import Engine, Request
from sluice_worker.evaluation.score import Score, gold_facts
from sluice_worker.plan import Limits, Question, plan
from sluice_worker.protocol.answer import ANNOTATION_FIELD, Annotation
from sluice_worker.protocol.merge import merge
from sluice_worker.protocol.parse import parse
from sluice_worker.protocol.records import Record
from sluice_worker.training.corpus import Row, Source


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
        id=f"dev/{source.name.replace('_', '-')}", version=1, task=task, language=language, types=types
    )


def _roles(source: Source, task: Task, label: str) -> tuple[Part, ...]:
    return tuple(Part(name=role) for role in source.roles.get(label, ())) if task in ("EE", "EEA") else ()


def cases(rows: Iterable[Row], schema: ExtractionSchema) -> list[Case]:
    """The rows that carry the annotation that the schema's task needs."""
    field = ANNOTATION_FIELD[schema.task]
    return [Case(row.text, schema, row.annotations[field]) for row in rows if field in row.annotations]


def score(engine: Engine, given: Sequence[Case], *, limits: Limits) -> Score:
    """Runs every case through the engine, all at once, and counts."""
    result = Score()
    running = []
    for case in given:
        document = Document(id="case", text=case.text)
        questions = plan(document, case.schema, card=engine.card, count_tokens=engine.count_tokens, limits=limits)
        futures = [
            engine.submit(Request(each.prompt, limits.answer_tokens, each.grammar, each.is_distinct))
            for each in questions
        ]
        running.append((case, questions, futures))
    for case, questions, futures in running:
        answers = [parse(case.schema.task, future.result().text) for future in futures]
        result.unparsed += sum(not answer.ok for answer in answers)
        records = _by_chunk(questions, [answer.records for answer in answers], case.schema)
        result.add(records, gold_facts(case.schema.task, case.annotation))
    return result


def _by_chunk(
    questions: Sequence[Question], parts: Sequence[tuple[Record, ...]], schema: ExtractionSchema
) -> list[Record]:
    chunks: dict[int, list[tuple[Record, ...]]] = {}
    for question, part in zip(questions, parts, strict=True):
        chunks.setdefault(question.chunk.start, []).append(part)
    labels = [each.name for each in schema.types]
    # What two overlapping chunks both say is one fact.
    return [*merge([merge(group, labels) for group in chunks.values()], labels)]
