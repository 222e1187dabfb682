"""Annotated documents to training or test records, line by line: memory does not grow with the file."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal

from sluice_schemas.document import Language
from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Example, Task, Type
from sluice_worker.conversion.annotated import Reader, in_text_order
from sluice_worker.conversion.behaviour import LOSSLESS, Behaviour, check_share
from sluice_worker.conversion.item import Form
from sluice_worker.conversion.negatives import Choose, Draws, Hard, Rivals, Sampled
from sluice_worker.conversion.questions import Testing, Training
from sluice_worker.conversion.records import Record
from sluice_worker.protocol.split import split

Split = Literal["train", "test"]
Lines = Callable[[bytes], list[str]]
"""From a line of the source file to lines of the target file; raises `BadInput` for a line that is no document."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to make: the options of OneKE's converter (its protocol, section 4), with its defaults.

    `neg_schema` is the share of the labels to ask for that a document lacks. With `rivals`, hard negatives, those are
    asked instead. `examples` stand in each instruction; `is_described` puts descriptions into the schema; `text_order`
    sorts answers by the text where the original keeps the annotation's order.
    """

    task: Task = "NER"
    language: Language = "zh"
    split: Split = "train"
    split_num: int = 4
    neg_schema: float = 1.0
    random_sort: bool = False
    rivals: Rivals | None = None
    seed: int = 42
    source: str = ""
    is_described: bool = False
    examples: Sequence[Example] = ()
    text_order: bool = False


@dataclass(slots=True)
class Count:
    """How a run went. `skipped` documents had nothing to ask; `bad` lines could not be read."""

    documents: int = 0
    records: int = 0
    skipped: int = 0
    bad: int = 0


def converter(wishes: Wishes, types: Sequence[Type], *, behaviour: Behaviour = LOSSLESS) -> Lines:
    """What turns one line into records; its draws go on from line to line.

    Raises `BadInput` for wishes that cannot be met.
    """
    split((), wishes.split_num)  # says what is wrong with the number
    form = Form(wishes.task, wishes.is_described)
    record = Record.of(form, wishes.language, source=wishes.source, examples=wishes.examples)
    reader = Reader(wishes.task, wishes.split == "train", behaviour.identity)
    if wishes.split == "test":
        testing = Testing(types, form=form, behaviour=behaviour, k=wishes.split_num)

        def test(line: bytes) -> list[str]:
            document = reader.read(line)
            return record.test(document, testing.ask(document))

        return test
    training = _training(wishes, types, form, behaviour)

    def train(line: bytes) -> list[str]:
        document = reader.read(line)
        arranged = in_text_order(wishes.task, document) if wishes.text_order else document
        return record.training(document, training.ask(arranged))

    return train


def convert(source: Iterable[bytes], target: BinaryIO, *, lines: Lines, report: Callable[[int, str], None]) -> Count:
    """Writes the records of each line of `source`; `report` gets the number of a bad line and what is wrong with it."""
    count = Count()
    for number, line in enumerate(source, start=1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            records = lines(line)
        except (BadInput, RecursionError) as exc:
            count.bad += 1
            report(number, str(exc) if isinstance(exc, BadInput) else "This is nested too deeply.")
            continue
        count.documents += 1
        count.records += len(records)
        count.skipped += not records
        target.write("".join(records).encode())
    return count


def _training(wishes: Wishes, types: Sequence[Type], form: Form, behaviour: Behaviour) -> Training:
    check_share(behaviour, wishes.task, wishes.neg_schema, has_rivals=wishes.rivals is not None)
    if wishes.task == "KG" and not types:
        raise BadInput("The schema names no entity type, and without one KG training has nothing to ask.")
    draws = Draws(wishes.seed, share=wishes.neg_schema, is_shuffled=wishes.random_sort)
    choose = _choose(wishes, [each.label for each in types], draws, behaviour)
    return Training(types, form=form, draws=draws, choose=choose, behaviour=behaviour, k=wishes.split_num)


def _choose(wishes: Wishes, known: Sequence[str], draws: Draws, behaviour: Behaviour) -> Choose:
    if wishes.rivals is not None:
        return Hard(known, draws, behaviour.rivals(wishes.rivals, known), max(wishes.split_num, 0))
    if wishes.task == "EEA":
        return Sampled(known, draws, 0)  # the types are given, not looked for
    if wishes.task == "KG":
        return Sampled(known, draws, 1 if wishes.neg_schema else 0)  # the share is that of the attributes
    return Sampled(known, draws, wishes.neg_schema)
