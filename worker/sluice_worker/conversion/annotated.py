"""A line of an annotated file, checked so far that nothing behind it can stumble (OneKE's protocol, section 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Task
from sluice_worker.protocol.answer import ANNOTATION_FIELD

_TRIPLE = ("head", "relation", "tail")
_TYPED = ("head", "head_type", "relation", "tail", "tail_type")
REQUIRED: Mapping[Task, tuple[str, ...]] = {
    "NER": ("entity", "entity_type"),
    "RE": _TRIPLE,
    "SPO": _TYPED,
    "KG": _TRIPLE,
    "EE": ("event_type",),
    "EET": ("event_type",),
    "EEA": ("event_type",),
}

IDENTITY: Mapping[Task, tuple[str, ...]] = {"NER": ("entity", "entity_type"), "RE": _TRIPLE, "SPO": _TYPED}
"""What tells the items of a document apart; of two that are equal in it the second is dropped."""

_PLACES: Mapping[Task, tuple[str, ...]] = {
    "NER": ("entity",),
    "RE": ("head", "tail"),
    "SPO": ("head", "tail"),
    "EET": ("event_trigger",),
}
"""By what text order goes. The answers of the other tasks are in text order anyway."""

Facts = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Annotated:
    """A text and what stands in it; None where nobody said."""

    text: str
    facts: Facts | None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads lines of one task. Training needs an annotation, and for EET and EEA a trigger in each event.

    `identity` is `IDENTITY`, or another idea of which items are equal.
    """

    task: Task
    is_training: bool
    identity: Mapping[Task, tuple[str, ...]]

    def read(self, line: bytes) -> Annotated:
        """Raises `BadInput`, which says what is wrong but nothing of what stands in the line."""
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            raise BadInput(f"This is not JSON in UTF-8: {exc.msg}, at character {exc.pos}.") from exc
        if not isinstance(fields, dict) or not isinstance(fields.get("text"), str):
            raise BadInput("This is no object with a string `text`.")
        name = ANNOTATION_FIELD[self.task]
        facts = fields.get(name)
        if facts is None and not self.is_training:
            return Annotated(fields["text"], None)
        if not isinstance(facts, list):
            raise BadInput(f"`{name}` is missing or no list; {self.task} training needs it, with [] for nothing found.")
        self._check(facts, name)
        return Annotated(fields["text"], self._distinct(facts))

    def _check(self, facts: Sequence[Any], name: str) -> None:
        for number, fact in enumerate(facts, start=1):
            if not isinstance(fact, dict):
                raise BadInput(f"Item {number} of `{name}` is no object.")
            for key in REQUIRED[self.task]:
                if not isinstance(fact.get(key), str):
                    raise BadInput(f"Item {number} of `{name}` needs `{key}`, a string.")
            if self.task == "KG" and not isinstance(fact.get("head_type"), str | None):
                raise BadInput(f"Item {number} of `{name}` has a `head_type` that is no string; leave it out.")
            if name == "event":
                self._check_event(fact, number)

    def _check_event(self, event: Mapping[str, Any], number: int) -> None:
        needs_trigger = self.is_training and self.task != "EE"
        if not isinstance(event.get("event_trigger", None if needs_trigger else ""), str):
            raise BadInput(f'Item {number} of `event` needs `event_trigger`, a string; write "" where there is none.')
        if self.task == "EET":
            return
        arguments = event.get("arguments")
        if not isinstance(arguments, list) or not all(_is_argument(each) for each in arguments):
            raise BadInput(f"Item {number} of `event` needs `arguments`, a list of objects with `argument` and `role`.")

    def _distinct(self, facts: Facts) -> Facts:
        keys = self.identity.get(self.task)
        if not keys:
            return facts
        kept: dict[tuple[str, ...], dict[str, Any]] = {}
        for fact in facts:
            kept.setdefault(tuple([fact[key] for key in keys]), fact)
        return [*kept.values()]


def _is_argument(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("argument"), str) and isinstance(value.get("role"), str)


def in_text_order(task: Task, document: Annotated) -> Annotated:
    """The document with its items by their first place in the text; items that do not occur come first."""
    keys = _PLACES.get(task)
    if not keys or document.facts is None:
        return document
    find = document.text.find
    return Annotated(document.text, sorted(document.facts, key=lambda fact: [find(fact[key]) for key in keys]))
