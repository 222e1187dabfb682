"""Answers converted instructions through the queue: documents and schemas are put together again and submitted."""

import hashlib
import itertools
import secrets
import tempfile
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from sluice_schemas.document import Language
from sluice_schemas.errors import BadInput, Unavailable
from sluice_schemas.extraction import Extraction, Mention, ProblemKind, Relation
from sluice_schemas.schema import ExtractionSchema, Part, Task, Type
from sluice_schemas.wire import describe
from sluice_worker.client import client
from sluice_worker.evaluation.asked import Asked
from sluice_worker.evaluation.predict import Answer
from sluice_worker.evaluation.score import countable
from sluice_worker.protocol.answer import Annotation, answer
from sluice_worker.protocol.instruction import TEXTS, dump

LOSSES: frozenset[ProblemKind] = frozenset({"failed_request", "unparsed", "cut_answer"})
"""Problems after which an answer says less than the model may have."""


@dataclass(frozen=True, slots=True)
class Order:
    """A document with the records that ask about it, and the schema that asks what they all ask."""

    id: str
    records: tuple[Asked, ...]
    schema: ExtractionSchema | None
    failure: str = ""


def predict(given: Iterable[Asked | BadInput]) -> Iterator[Answer | BadInput]:
    """An answer to each record; what could not be read comes first. Workers must be running.

    The client finds Redis by SLUICE_REDIS_URL: as an argument a password would stand in the list of processes. The
    schemas that the records ask by are published as `predict/<digest>@1`; `Unavailable` where that fails.
    """
    read = [*given]
    yield from (each for each in read if isinstance(each, BadInput))
    orders = [*_orders(each for each in read if isinstance(each, Asked))]
    with tempfile.TemporaryDirectory(prefix="sluice-predict-") as folder:
        results = _results(Path(folder), orders)
    for order in orders:
        yield from _answers(order, results.get(order.id))


def _orders(asked: Iterable[Asked]) -> Iterator[Order]:
    """Converted files hold the records of a document together."""
    run = secrets.token_hex(4)  # the same file may be predicted again, by another model
    for number, records in enumerate(_documents(asked), start=1):
        try:
            yield Order(f"{run}-{number}", records, schema_of(records))
        except BadInput as exc:
            yield Order(f"{run}-{number}", records, None, str(exc))


def _documents(asked: Iterable[Asked]) -> Iterator[tuple[Asked, ...]]:
    """Records in a row about one text, in one language; a label that comes again begins the next document."""
    groups = itertools.groupby(asked, key=lambda each: (each.record.get("source"), each.task, each.text, _is_zh(each)))
    for _, group in groups:
        records: list[Asked] = []
        seen: set[Hashable] = set()
        for each in group:
            labels = {countable(item) for item in each.schema} if isinstance(each.schema, list) else set()
            if labels & seen:
                yield tuple(records)
                records, seen = [], set()
            records.append(each)
            seen |= labels
        yield tuple(records)


def schema_of(records: Sequence[Asked]) -> ExtractionSchema:
    """The schema that asks all the labels of these records at once.

    Raises `BadInput` for what no schema of plain labels can ask: descriptions, examples, given triggers.
    """
    for each in records:
        if not isinstance(each.schema, list) or "example" in each.question:
            raise BadInput("descriptions and examples cannot be put together again; publish the schema, and submit.")
    language: Language = "zh" if _is_zh(records[0]) else "en"
    try:
        types = [_type(item) for each in records for item in each.schema]
        content = {
            "task": records[0].task,
            "language": language,
            "types": [each.model_dump(mode="json", exclude_defaults=True) for each in types],
            # Asked in the same pieces as in the file.
            "split_num": len(records[0].schema) if len(records) > 1 else -1,
        }
        digest = hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]
        return ExtractionSchema.model_validate({"id": f"predict/{digest}", "version": 1, **content}, strict=False)
    except ValidationError as exc:
        raise BadInput(describe(exc, "schema that it asks by")) from exc


def _is_zh(asked: Asked) -> bool:
    return str(asked.question["instruction"]).startswith(TEXTS["zh"][asked.task][:8])


def _type(item: Any) -> Type:
    match item:
        case str():
            return Type(name=item)
        case {"subject_type": head, "predicate": name, "object_type": tail}:
            return Type(name=name, subject_type=head, object_type=tail)
        case {"event_type": _, "trigger": [*_]}:
            raise BadInput("given triggers cannot go through the queue; predict without --queue.")
        case {"event_type": name, "arguments": [*roles]}:
            return Type(name=name, roles=tuple(Part(name=role) for role in roles))
        case {"entity_type": name, "attributes": [*attributes]}:
            return Type(name=name, attributes=tuple(Part(name=each) for each in attributes))
    raise BadInput("one of its labels has not the form that its task takes.")


def _results(folder: Path, orders: Sequence[Order]) -> dict[str, Extraction]:
    """Document id -> extraction, as the client's own command brings them; its messages go to standard error."""
    schemas = {order.schema.id: order.schema for order in orders if order.schema}
    if not schemas:
        return {}
    files = [folder / f"{number}.json" for number in range(len(schemas))]
    for path, schema in zip(files, schemas.values(), strict=True):
        path.write_bytes(schema.encode())
    documents, results = folder / "documents.jsonl", folder / "results.jsonl"
    with documents.open("wb") as file:
        file.writelines(_line(order) for order in orders if order.schema)
    if client("schemas", "publish", *map(str, files), is_quiet=True):
        raise Unavailable("The schemas could not be published; see the message above.")
    ref = next(iter(schemas.values())).ref
    client("submit", str(documents), "--schema", ref, "--out", str(results), is_quiet=True)
    lines = results.read_bytes().splitlines() if results.exists() else []
    return {each.document_id: each for each in map(Extraction.decode, lines)}


def _line(order: Order) -> bytes:
    asked = order.records[0]
    fields = {"id": order.id, "text": asked.text, "schema": order.schema.ref if order.schema else ""}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _answers(order: Order, extraction: Extraction | None) -> Iterator[Answer]:
    for asked in order.records:
        if extraction is None:
            yield Answer(asked, "", order.failure or "no result came back; see the messages above.")
            continue
        said = answer(asked.task, asked.schema, _annotation(extraction, asked.schema), asked.text)
        lost = sum(problem.kind in LOSSES for problem in extraction.problems)
        is_empty = not (extraction.entities or extraction.relations or extraction.events)
        failure = f"{lost} answers about its document were cut, unreadable or missing." if lost else ""
        yield Answer(asked, "" if lost and is_empty else dump(said), failure)


def _annotation(extraction: Extraction, schema: Sequence[Any]) -> Annotation:
    """The extraction as the items of a document's `entity`, `relation` or `event` field."""
    task: Task = extraction.task
    if task == "SPO":
        return [each for relation in extraction.relations for each in _typed(relation, schema)]
    if task == "NER":
        return [{"entity": each.text, "entity_type": each.type} for each in extraction.entities]
    if task in ("RE", "KG"):
        return [
            {"relation": each.type, **_end("head", each.head), **_end("tail", each.tail)}
            for each in extraction.relations
        ]
    return [
        {
            "event_type": event.type,
            "event_trigger": event.trigger.text if event.trigger else "",
            "arguments": [{"argument": each.value.text, "role": each.role} for each in event.arguments],
        }
        for event in extraction.events
    ]


def _typed(relation: Relation, schema: Sequence[Any]) -> Iterator[dict[str, str]]:
    """A triple under each item that it answers: a predicate between several pairs of types does not say which."""
    for item in schema:
        types = (item["subject_type"], item["object_type"])
        known = (relation.head.type or types[0], relation.tail.type or types[1])
        if item["predicate"] == relation.type and known == types:
            head, tail = relation.head.text, relation.tail.text
            yield {"relation": relation.type, "head": head, "head_type": types[0], "tail": tail, "tail_type": types[1]}


def _end(name: str, mention: Mention) -> dict[str, str]:
    typed = {} if mention.type is None else {f"{name}_type": mention.type}
    return {name: mention.text, **typed}
