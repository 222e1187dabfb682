"""Reads a converted test file: one instruction a line, with what it asks of which text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import orjson

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Task

TEXTS = ("instruction", "input")


@dataclass(frozen=True, slots=True)
class Asked:
    """One record. `question` is its parsed instruction, `number` is its line, counted from 1."""

    number: int
    record: Mapping[str, Any]
    task: Task
    question: Mapping[str, Any]

    @property
    def schema(self) -> Any:
        return self.question["schema"]

    @property
    def text(self) -> str:
        return str(self.question["input"])

    @property
    def instruction(self) -> str:
        return str(self.record["instruction"])


def read(lines: Iterable[bytes], *, task: Task | None) -> Iterator[Asked | BadInput]:
    """Every record in order, a `BadInput` that names the line in place of one that is wrong; blank lines are skipped.

    `task` stands in where a record names none, as the files that OneKE ships do.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _asked(number, line, task)
            except BadInput as exc:
                yield BadInput(f"line {number}: {exc}")


def _asked(number: int, line: bytes, task: Task | None) -> Asked:
    record = _object(line, "the line")
    if not isinstance(record.get("instruction"), str):
        raise BadInput("there is no instruction; convert the file with --split test first.")
    if not isinstance(record.get("source"), str | None):
        raise BadInput("the source is no string; write a name, or leave it out.")
    named: Task | None = record.get("task") or task
    if named is None:
        raise BadInput(f"the record names no task; add --task, one of {', '.join(get_args(Task))}.")
    if named not in get_args(Task):
        raise BadInput(f"the record names a task that is none of {', '.join(get_args(Task))}.")
    asked = _object(record["instruction"], "the instruction")
    if not all(isinstance(asked.get(name), str) for name in TEXTS) or "schema" not in asked:
        raise BadInput("the instruction holds no instruction, schema and input text; was the file converted?")
    if not isinstance(asked["schema"], list | dict):
        raise BadInput("the schema of the instruction is neither a list nor an object.")
    return Asked(number, record, named, asked)


def _object(raw: bytes | str, name: str) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"{name} is not JSON: {exc.msg}.") from exc
    if not isinstance(value, dict):
        raise BadInput(f"{name} is no JSON object.")
    return value
