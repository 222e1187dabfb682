"""The lines of a converted file, put together from JSON that is made once.

A record holds its instruction, label and output as strings of JSON, so their pieces are escaped twice. Every character
is escaped by itself, which is why the pieces can be: what does not change from record to record is kept ready.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sluice_schemas.document import Language
from sluice_schemas.schema import Example
from sluice_worker.conversion.annotated import Annotated
from sluice_worker.conversion.item import Form, Item, escaped, quoted
from sluice_worker.conversion.questions import Answered, Chunk
from sluice_worker.protocol.document_id import document_id
from sluice_worker.protocol.instruction import build, dump

_GAP = "schema"


@dataclass(frozen=True, slots=True)
class Record:
    """What stands around the schema, the text and the answer in every record of a run."""

    opening: str
    middle: str

    @classmethod
    def of(cls, form: Form, language: Language, *, source: str, examples: Sequence[Example] = ()) -> Self:
        """`source` names the data set in each record; `examples` stand in each instruction."""
        before, _, after = build(form.task, language, [_GAP], "", examples=examples).partition(dump([_GAP]))
        head = dump({"task": form.task, "source": source})[1:-1]
        opens, closes = form.brackets
        return cls(
            opening=f'{head}, "instruction": "{escaped(before + opens)}',
            middle=escaped(closes + after.removesuffix('""}')),
        )

    def training(self, document: Annotated, questions: Sequence[Answered]) -> list[str]:
        """One line a question: `task`, `source`, `instruction`, `output`."""
        text = self._text(document)
        return [
            f'{{{self.opening}{_asked(each.items)}{text}", "output": "{{{_answers(each.items, each.found)}}}"}}\n'
            for each in questions
        ]

    def test(self, document: Annotated, questions: Sequence[Chunk]) -> list[str]:
        """One line a question: `id`, `task`, `source`, `instruction`, and `label` where there is an annotation."""
        text = self._text(document)
        label = "" if document.facts is None else f', "label": {quoted(dump(document.facts))}'
        opening = f'{{"id": "{document_id(document.text)}", {self.opening}'
        return [f'{opening}{_asked(items)}{text}"{label}}}\n' for items in questions]

    def _text(self, document: Annotated) -> str:
        return f"{self.middle}{escaped(quoted(document.text))}}}"


def _asked(items: Sequence[Item]) -> str:
    return ", ".join([item.asked for item in items])


def _answers(items: Sequence[Item], found: Mapping[str, Any]) -> str:
    """In the order of asking; two typed triples may share a key, which then stands once."""
    answers = {item.key: item.absent for item in items}
    for key, value in found.items():
        answers[key] = escaped(f"{quoted(key)}: {dump(value)}")
    return ", ".join(answers.values())
