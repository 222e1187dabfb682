"""A prediction file, line by line, into documents: nothing is kept of a line but what counting needs."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Task
from sluice_worker.evaluation.gold import gold_records
from sluice_worker.protocol.json_text import shallow
from sluice_worker.protocol.parse import Parsed
from sluice_worker.protocol.records import Record

Parse = Callable[[Task, str], Parsed]

NO_GROUP = "None"
"""Where the original puts a document whose lines do not have the field asked for."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be counted: its number, counted from 1, and what is wrong with it."""

    number: int
    fault: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.fault}."


@dataclass(frozen=True, slots=True)
class Line:
    """The fields of one line. `question` stands for what it asks of which document."""

    key: tuple[str, str]
    group: str
    question: int
    label: str
    output: str
    task: str | None


@dataclass(slots=True)
class Document:
    """The lines of one source and id: the gold of the first, and what the outputs of all of them say, one by one."""

    group: str
    gold: list[Record]
    label_hash: int
    said: list[Record] = field(default_factory=list)
    outputs: int = 0
    unparsed: int = 0


@dataclass(slots=True)
class Predictions:
    """The documents of a file, in the order of their first lines, and what was odd about its lines.

    `other_labels` lines have another label than the first of their document, `repeated` lines ask what their document
    was asked before, `other_tasks` lines name another task.
    """

    task: Task
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    bad_lines: list[BadLine] = field(default_factory=list)
    other_labels: int = 0
    repeated: int = 0
    other_tasks: int = 0
    _asked: set[int] = field(default_factory=set)

    def add(self, line: Line, parse: Parse) -> None:
        """Counts a line in; raises `BadInput` for a label that cannot be read, and then nothing is counted."""
        document = self._document(line)
        parsed = parse(self.task, line.output)
        document.said += parsed.records
        document.outputs += 1
        document.unparsed += not parsed.ok
        self.repeated += line.question in self._asked
        self._asked.add(line.question)
        self.other_tasks += line.task is not None and line.task != self.task

    def _document(self, line: Line) -> Document:
        document, label_hash = self.documents.get(line.key), hash(line.label)
        if document is None:
            document = Document(line.group, gold_records(self.task, line.label), label_hash)
            self.documents[line.key] = document
        elif document.label_hash != label_hash:
            gold_records(self.task, line.label)
            self.other_labels += 1
        return document


def read(lines: Iterable[bytes], *, task: Task, parse: Parse, sort_by: str = "") -> Predictions:
    """Reads the lines of a prediction file; a bad one is noted and the rest goes on. Blank lines are passed over.

    `sort_by` names the field whose values group the documents, if any.
    """
    predictions = Predictions(task)
    for number, raw in enumerate(lines, start=1):
        if raw.isspace():
            continue
        try:
            predictions.add(_line(raw, sort_by), parse)
        except BadInput as exc:
            predictions.bad_lines.append(BadLine(number, str(exc)))
    return predictions


def named_tasks(lines: Iterable[bytes]) -> set[str]:
    """The values of `task` in the lines that have one."""
    found = set()
    for raw in lines:
        try:
            fields = _fields(raw)
        except BadInput:
            continue
        if isinstance(fields.get("task"), str):
            found.add(fields["task"])
    return found


def _line(raw: bytes, sort_by: str) -> Line:
    fields = _fields(raw)
    instruction, source, task = _text(fields, "instruction"), fields.get("source"), fields.get("task")
    _check_instruction(instruction)
    if source is not None and not isinstance(source, str):
        raise BadInput("its `source` is no string; write a name or leave it out")
    return Line(
        key=(NO_GROUP if source is None else source, _id(fields)),
        group=_group(fields, sort_by),
        question=hash((source, fields["id"], instruction)),
        label=_text(fields, "label"),
        output=_text(fields, "output"),
        task=task if isinstance(task, str) else None,
    )


def _fields(raw: bytes) -> Mapping[str, Any]:
    try:
        fields = orjson.loads(raw)
    except ValueError:
        fields = _slowly(raw)
    if isinstance(fields, dict):
        return fields
    raise BadInput("it is JSON but not an object; write one JSON object a line")


def _slowly(raw: bytes) -> Any:
    """For what orjson refuses: a byte order mark, NaN, lone surrogates; or the line is bad."""
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise BadInput(f"byte {exc.start} of it is not UTF-8; save the file as UTF-8") from exc
    except (ValueError, RecursionError):
        raise BadInput("it is not JSON; write one JSON object a line") from None


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, str):
        return value
    if value is None:
        raise BadInput(f"it has no `{name}`, or null; add it")
    raise BadInput(f"its `{name}` is no string; write the JSON of it as a string")


def _id(fields: Mapping[str, Any]) -> str:
    """Whole numbers are taken too, as files that people write have them."""
    value = fields.get("id")
    return str(value) if type(value) is int else _text(fields, "id")


def _check_instruction(instruction: str) -> None:
    try:
        asked = shallow(instruction)
    except (ValueError, RecursionError):
        raise BadInput("its instruction is not JSON; write what `sluice convert` writes") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("input"), str):
        raise BadInput("its instruction has no `input` text; write what `sluice convert` writes")


def _group(fields: Mapping[str, Any], sort_by: str) -> str:
    value = fields.get(sort_by)
    try:
        return value if isinstance(value, str) else NO_GROUP if value is None else str(value)
    except RecursionError:
        raise BadInput(f"its `{sort_by}` is nested too deeply; write a name") from None
