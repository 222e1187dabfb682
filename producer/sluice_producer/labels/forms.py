"""The forms in which files hold labels: read one by one, each with its place in the file, and written."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import orjson

from sluice_producer.labels.task import labels_of
from sluice_producer.orders import document_of
from sluice_schemas.errors import BadInput
from sluice_schemas.label import Label
from sluice_schemas.labels import labelstudio, oneke
from sluice_schemas.schema import ExtractionSchema
from sluice_schemas.wire import parsed

Found = tuple[str, Label | BadInput]
"""Where in the file, and the label or what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Whose:
    """What a file does not say itself: the schema, and who labelled."""

    schema: ExtractionSchema
    author: str


class Form(NamedTuple):
    """How labels are read from a file, and written."""

    read: Callable[[BinaryIO, Whose], Iterator[Found]]
    write: Callable[[Iterable[tuple[Label, ExtractionSchema]]], Iterator[bytes]]


def read_jsonl(file: BinaryIO, whose: Whose) -> Iterator[Found]:
    """Labels as `write_jsonl` writes them; what a line leaves out comes from the command line."""
    given = {"schema_ref": whose.schema.ref, "author": whose.author, "verdict": "imported"}
    yield from _lines(file, lambda fields: Label.of({**given, **fields}))


def write_jsonl(labels: Iterable[tuple[Label, ExtractionSchema]]) -> Iterator[bytes]:
    for label, _ in labels:
        yield label.encode() + b"\n"


def read_oneke(file: BinaryIO, whose: Whose) -> Iterator[Found]:
    """One document a line, with its annotation."""
    yield from _lines(file, lambda fields: _annotated(fields, whose))


def write_oneke(labels: Iterable[tuple[Label, ExtractionSchema]]) -> Iterator[bytes]:
    for label, schema in labels:
        yield orjson.dumps(oneke.write(label, schema.task)) + b"\n"


def read_labelstudio(file: BinaryIO, whose: Whose) -> Iterator[Found]:
    """A list of tasks, as Label Studio exports it."""
    tasks = parsed(file.read())
    if not isinstance(tasks, list):
        raise BadInput("This is no list of tasks; export from Label Studio as JSON.")
    for number, task in enumerate(tasks, start=1):
        named = task.get("id") if isinstance(task, dict) else None
        place = f"task {number if named is None else named}"
        try:
            for label in labels_of(task, whose.schema, author=whose.author):
                yield place, label
        except BadInput as exc:
            yield place, exc


def write_labelstudio(labels: Iterable[tuple[Label, ExtractionSchema]]) -> Iterator[bytes]:
    return as_list(labelstudio.task_of(label) for label, _ in labels)


def as_list(tasks: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """A JSON list, one task a line: Label Studio reads no JSON lines."""
    before = b"[\n"
    for task in tasks:
        yield before + orjson.dumps(task)
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


FORMS: dict[str, Form] = {
    "jsonl": Form(read_jsonl, write_jsonl),
    "oneke": Form(read_oneke, write_oneke),
    "labelstudio": Form(read_labelstudio, write_labelstudio),
}


def _lines(file: BinaryIO, make: Callable[[dict[str, Any]], Label]) -> Iterator[Found]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            fields = parsed(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
            if not isinstance(fields, dict):
                raise BadInput("A line must be a JSON object.")
            yield f"line {number}", make(fields)
        except BadInput as exc:
            yield f"line {number}", exc


def _annotated(fields: dict[str, Any], whose: Whose) -> Label:
    schema = whose.schema
    named = {"id": fields["id"]} if isinstance(fields.get("id"), str) else {}
    document = document_of({"text": fields.get("text"), "language": schema.language, **named})
    facts = oneke.read(fields, schema.task)
    about = {"document": document, "schema_ref": schema.ref, "verdict": "imported", "author": whose.author}
    return Label.of({**about, **facts})
