"""No gold answer is out of reach: each is a sentence of its own grammar, over the dev sets of human-labelled text."""

import random
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from llguidance import LLMatcher, LLTokenizer

from sluice_schemas.schema import Part, Task, Type
from sluice_worker.engine.model_folder import resolve
from sluice_worker.evaluation.serve import schema_of
from sluice_worker.protocol.answer import ANNOTATION_FIELD, Annotation, answer
from sluice_worker.protocol.grammar import grammar
from sluice_worker.protocol.instruction import dump, schema_value
from sluice_worker.protocol.word import is_inside_word
from sluice_worker.training import corpus
from sluice_worker.training.corpus import Row, Source

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
NAMES = sorted(path.name.split(".")[0] for path in DATA.glob("*.dev.jsonl.gz"))
SAMPLE = 60
"""Rows of each set, beside all those with a value that cuts a word: all 27,000 take minutes."""
KIND = "thing"
"""The type of both ends of a relation: the dev sets name none, and SPO and KG ask for one."""
SHIPPED = LLTokenizer(str(resolve("sluice-tiny") / "tokenizer.json"))

pytestmark = pytest.mark.skipif(not NAMES, reason="the data sets are not here: they lie in ../shared/data")


@cache
def source(name: str) -> Source:
    return corpus.read(DATA, name, split="dev")


def tasks(held: Source) -> Iterator[Task]:
    return (task for task, field in ANNOTATION_FIELD.items() if field in held.labels)


def types_of(held: Source, task: Task) -> tuple[Type, ...]:
    """Every label of the set: the whole question that a user asks."""
    labels = held.labels[ANNOTATION_FIELD[task]]
    if task == "SPO":
        return tuple(Type(name=label, subject_type=KIND, object_type=KIND) for label in labels)
    if task == "KG":
        return (Type(name=KIND, attributes=tuple(Part(name=label) for label in labels)),)
    return schema_of(held, task, held.rows[0].language).types


def annotation_of(row: Row, task: Task) -> Annotation:
    items = row.annotations.get(ANNOTATION_FIELD[task], ())
    return [{**item, "head_type": KIND, "tail_type": KIND} for item in items] if task in ("SPO", "KG") else items


def values(annotation: Annotation) -> Iterator[str]:
    for item in annotation:
        arguments = [each["argument"] for each in item.get("arguments", ())]
        ends = [item[key] for key in ("entity", "head", "tail", "event_trigger") if item.get(key)]
        yield from [*ends, *arguments]


def is_verbatim(row: Row) -> bool:
    return all(value in row.text for items in row.annotations.values() for value in values(items))


def cuts_a_word(row: Row) -> bool:
    """Whether a value stands nowhere in the text but with a part of a word at its end."""
    return not all(_is_whole(row.text, value) for items in row.annotations.values() for value in values(items))


def _is_whole(text: str, value: str) -> bool:
    starts = (start for start in range(len(text)) if text.startswith(value, start))
    return any(not (is_inside_word(text, start) or is_inside_word(text, start + len(value))) for start in starts)


def rows_of(held: Source, count: int) -> list[Row]:
    """`count` verbatim rows, drawn with a fixed seed, and all that cut a word."""
    verbatim = [row for row in held.rows if is_verbatim(row)]
    drawn = random.Random(held.name).sample(verbatim, min(count, len(verbatim)))
    return [*drawn, *(row for row in verbatim if cuts_a_word(row))]


def refused(held: Source, rows: Iterable[Row]) -> Iterator[tuple[Task, str]]:
    """Task and text of each row whose gold answer to the whole question its grammar does not take."""
    for task in tasks(held):
        schema = schema_value(task, types_of(held, task))
        assert isinstance(schema, list)
        for row in rows:
            gold = dump(answer(task, schema, annotation_of(row, task), row.text))
            if not accepts(grammar(task, schema, row.text, level="grounded"), gold):
                yield task, row.text


def accepts(made: str, gold: str) -> bool:
    matcher, written = LLMatcher(SHIPPED, LLMatcher.grammar_from_lark(made), log_level=0), SHIPPED.tokenize_str(gold)
    return bool(matcher.try_consume_tokens(written) == len(written) and matcher.is_accepting())


@pytest.mark.parametrize("name", NAMES)
def test_gold_answers_are_accepted(name: str) -> None:
    rows = rows_of(source(name), SAMPLE)
    assert len(rows) >= SAMPLE
    assert [*refused(source(name), rows)] == []


def test_the_sets_hold_every_task_and_values_that_cut_words() -> None:
    assert {task for name in NAMES for task in tasks(source(name))} == {*get_args(Task)}
    assert sum(cuts_a_word(row) for name in NAMES for row in source(name).rows) > 0


def test_a_value_that_is_not_in_the_text_is_refused() -> None:
    """Else everything might be accepted."""
    row = Row("Ann met Bob.", "en", {"entity": [{"entity": "Eve", "entity_type": "per"}]})
    assert [*refused(corpus.of("made", (row,)), [row])] == [("NER", row.text)]
