"""The demo's documents are what the demo promises, and their gold stands in them to the letter."""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluice_schemas import shelf
from sluice_schemas.document import Document
from sluice_schemas.schema import ExtractionSchema, Task

DEMO = Path(__file__).parents[2] / "worker" / "sluice_worker" / "demo"
FIELD = {"NER": "entity", "RE": "relation", "EE": "event"}


@cache
def lines(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(orjson.loads(line) for line in (DEMO / name).read_bytes().splitlines())


def texts() -> dict[str, str]:
    return {each["id"]: each["text"] for each in lines("documents.jsonl")}


def schema_of(document_id: str) -> ExtractionSchema:
    return shelf.find({each["id"]: each["schema"] for each in lines("documents.jsonl")}[document_id])


def values(gold: dict[str, Any]) -> Iterator[str]:
    yield from (each["entity"] for each in gold.get("entity", []))
    for each in gold.get("relation", []):
        yield from (each["head"], each["tail"])
    for each in gold.get("event", []):
        yield each["event_trigger"]
        yield from (argument["argument"] for argument in each["arguments"])


def test_there_is_enough_of_every_task_in_both_languages() -> None:
    counted = Counter((schema_of(each["id"]).task, each["language"]) for each in lines("documents.jsonl"))
    wanted: dict[Task, int] = {"NER": 13, "RE": 5, "EE": 4}
    assert all(counted[task, language] >= least for task, least in wanted.items() for language in ("zh", "en"))
    assert counted.total() >= 44
    assert set(counted) == {(task, language) for task in wanted for language in ("zh", "en")}


def test_every_document_can_be_submitted() -> None:
    for each in lines("documents.jsonl"):
        assert set(each) == {"id", "language", "schema", "text"}
        Document(id=each["id"], text=each["text"], language=each["language"])
        assert schema_of(each["id"]).language == each["language"]


def test_ids_and_texts_are_distinct() -> None:
    assert len(texts()) == len(set(texts().values())) == len(lines("documents.jsonl"))
    assert len({gold["id"] for gold in lines("gold.jsonl")}) == len(lines("gold.jsonl"))


def test_every_document_but_the_long_one_has_gold() -> None:
    missing = set(texts()) - {gold["id"] for gold in lines("gold.jsonl")}
    assert missing == {each for each, text in texts().items() if len(text) > 20_000}
    assert len(missing) == 1


@pytest.mark.parametrize("gold", lines("gold.jsonl"), ids=lambda gold: gold["id"])
def test_gold_stands_in_the_text_and_its_labels_in_the_schema(gold: dict[str, Any]) -> None:
    schema = schema_of(gold["id"])
    found = gold[FIELD[schema.task]]
    assert found, "a document without knowledge shows nothing"
    assert all(value and value in texts()[gold["id"]] for value in values(gold))
    labels = {each.get("entity_type") or each.get("relation") or each["event_type"] for each in found}
    assert labels <= {each.label for each in schema.types}
    pairs = [orjson.dumps(each) for each in found]
    assert len(set(pairs)) == len(pairs)


def test_event_gold_uses_the_roles_of_its_type() -> None:
    for gold in lines("gold.jsonl"):
        for event in gold.get("event", []):
            (each,) = [each for each in schema_of(gold["id"]).types if each.name == event["event_type"]]
            assert {argument["role"] for argument in event["arguments"]} <= {role.name for role in each.roles}


def test_every_label_of_the_demo_schemas_occurs_in_the_gold() -> None:
    used = {
        (schema_of(gold["id"]).ref, each.get("entity_type") or each.get("relation") or each["event_type"])
        for gold in lines("gold.jsonl")
        for each in gold[FIELD[schema_of(gold["id"]).task]]
    }
    refs = {each["schema"] for each in lines("documents.jsonl")}
    assert used == {(ref, each.label) for ref in refs for each in shelf.find(ref).types}


def test_the_long_one_is_read_like_a_text() -> None:
    (text,) = [text for text in texts().values() if len(text) > 20_000]
    paragraphs = text.split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs) > 20
    sentences = text.split(". ")
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize(
    "is_hard",
    [
        lambda char: ord(char) > 0xFFFF,  # emoji outside the basic plane
        lambda char: unicodedata.combining(char) > 0,  # combining accents
        lambda char: char == "\u200d",  # joined emoji
        lambda char: unicodedata.east_asian_width(char) == "F" and char.isalnum(),  # full-width letters and digits
        lambda char: char == '"',  # what JSON escapes
        lambda char: char == "\\",
    ],
    ids=["emoji", "combining", "joined", "full-width", "quote", "backslash"],
)
def test_hard_characters_are_there(is_hard: Any) -> None:
    hard = {each for each, text in texts().items() if any(map(is_hard, text))}
    assert hard & {gold["id"] for gold in lines("gold.jsonl")}


def test_full_width_and_combining_values_are_gold_themselves() -> None:
    gold = "".join(value for each in lines("gold.jsonl") for value in values(each))
    assert "ｏ" in gold
    assert "\u0301" in gold
