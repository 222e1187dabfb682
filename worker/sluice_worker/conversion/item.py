"""One label as a question asks it, with its pieces of JSON made once and used in thousands of records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sluice_schemas.schema import Task, Type
from sluice_worker.protocol.instruction import dump, schema_value


@dataclass(frozen=True, slots=True)
class Item:
    """`label` names it among all labels, `key` in the answer; `value` is its list form (section 2).

    `asked` and `absent` are its JSON in the schema and in an answer that found nothing, escaped for a record.
    """

    label: str
    key: str
    value: Any
    asked: str
    absent: str


@dataclass(frozen=True, slots=True)
class Form:
    """How a task's labels stand in the schema of an instruction: plain, or with their descriptions (section 2)."""

    task: Task
    is_described: bool = False

    @property
    def is_object(self) -> bool:
        """A schema that is one object is not split."""
        return isinstance(schema_value(self.task, (), described=self.is_described), dict)

    @property
    def brackets(self) -> tuple[str, str]:
        return ("{", "}") if self.is_object else ("[", "]")

    def item(self, each: Type, triggers: Sequence[str] | None = None) -> Item:
        """The label as asked; `triggers` are the words that EEA is asked about, where they are known."""
        value: Any = next(iter(schema_value(self.task, [each])))
        if triggers is not None:
            value = {"event_type": each.name, "trigger": [*triggers], "arguments": value["arguments"]}
        shown = schema_value(self.task, [each], described=True) if self.is_described else [value]
        nothing = "{}" if self.task == "KG" else "[]"
        return Item(
            label=each.label,
            key=each.name,
            value=value,
            asked=escaped(dump(shown)[1:-1]),
            absent=escaped(f"{dump(each.name)}: {nothing}"),
        )


def quoted(text: str) -> str:
    """`dump` of one string by the faster library; the two agree on every text that UTF-8 can carry."""
    return orjson.dumps(text).decode()


def escaped(json_text: str) -> str:
    """JSON as it stands inside a string. Pieces can be escaped one by one: each character is by itself."""
    return quoted(json_text)[1:-1]
