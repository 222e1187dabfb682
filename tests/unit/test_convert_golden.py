"""Conversions against those of the original: all of them in compatible mode, those that lose nothing by default."""

import copy
import json
import re
from typing import Any

import golden_vectors
import pytest
from golden_convert import check_convert, check_target, converted, differences
from golden_vectors import OWN, Vector

from sluice_schemas.errors import BadInput
from sluice_worker.conversion.behaviour import LOSSLESS, ORIGINAL

RECORDED = [vector for vector in golden_vectors.load(OWN) if vector.kind == "convert"]
PUBLISHED = [vector for vector in golden_vectors.load(golden_vectors.public()) if vector.kind == "convert"]

OTHERWISE = {
    r"EEA.*-test-(empty|split).*": "test questions name the annotated triggers, as the instruction promises (B10)",
    r"EEA.*-train-.*": "annotated roles are asked though the schema lacks them, and all triggers are named (B12)",
    r"KG.*-train-.*": "each entity type is asked with its own attributes (B8), in one record (B7)",
    r"EE-en-train-neg0": "a document without events is skipped where only positives are asked (B9)",
    r".*-train-negminus1": "a share of negatives is 0 to 1",
}
"""Recorded conversions that a rule of section 7 or 14 contradicts, and the rule."""


def _is_otherwise(vector: Vector) -> bool:
    return any(re.fullmatch(pattern, vector.content["id"]) for pattern in OTHERWISE)


def _raises(vector: Vector) -> bool:
    return "raises" in vector.content["expected"]


@pytest.mark.parametrize("vector", [*RECORDED, *PUBLISHED], ids=lambda vector: vector.name)
def test_compatible_conversions(vector: Vector) -> None:
    assert [*check_convert(vector.content, vector.content)] == []


@pytest.mark.parametrize(
    "vector", [each for each in [*RECORDED, *PUBLISHED] if not _is_otherwise(each)], ids=lambda vector: vector.name
)
def test_conversions_without_losses(vector: Vector) -> None:
    assert [*differences(vector.content, LOSSLESS)] == []


@pytest.mark.parametrize(
    "vector", [each for each in RECORDED if _is_otherwise(each) and not _raises(each)], ids=lambda vector: vector.name
)
def test_what_is_converted_otherwise_is_listed_for_a_reason(vector: Vector) -> None:
    assert [*differences(vector.content, LOSSLESS)] != []


@pytest.mark.parametrize("behaviour", [LOSSLESS, ORIGINAL], ids=["lossless", "original"])
@pytest.mark.parametrize("vector", [each for each in RECORDED if _raises(each)], ids=lambda vector: vector.name)
def test_where_the_original_crashes_there_are_records_or_a_sentence(vector: Vector, behaviour: Any) -> None:
    told = ""
    try:
        assert converted(vector.content, behaviour)
    except BadInput as exc:
        told = str(exc)
    assert re.fullmatch("|.*(neg_schema|event_trigger|entity type).*[.]", told)


def _one(name: str) -> dict[str, Any]:
    (vector,) = [each for each in RECORDED if each.content["id"] == name]
    return copy.deepcopy(vector.content)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        # to the byte: an answer in another order
        ("NER-en-train-split4", lambda v: _swap_answers(v["expected"]["records"][0]), "record 0 is"),
        # in any order of roles, but not without one
        ("EE-en-train-split4", lambda v: v["input"]["schema_lines"][2]["Die"].pop(), "record 0 is"),
        # a record too many
        ("RE-en-train-split4", lambda v: v["input"]["docs"].append(v["input"]["docs"][0]), "records, not"),
        # drawn: a positive that nobody asks for
        ("NER-en-train-neg0.5", lambda v: v["property_docs"][0]["labels_must_include"].append("x"), "does not ask"),
        # drawn: another right answer
        ("NER-en-train-cluster", lambda v: v["property_docs"][0]["per_label_output"]["date"].clear(), "output is"),
        # drawn: shuffled, but said to be sorted
        ("NER-en-train-random_sort", lambda v: v["property_docs"][0]["labels_exact"].pop(), "asks"),
        # the sentence of a refusal
        ("EE-en-train-split4", lambda v: v["input"]["docs"][0].pop("event"), "refused: line 1"),
    ],
)
def test_a_difference_is_reported(name: str, change: Any, said: str) -> None:
    vector = _one(name)
    assert [*check_convert(vector, vector)] == []
    change(vector)
    assert said in next(check_convert(vector, vector), "no difference")


def _swap_answers(record: dict[str, str]) -> None:
    answers = json.loads(record["output"])
    record["output"] = json.dumps(dict(reversed(answers.items())), ensure_ascii=False)


EVENT = {
    "event_type": "e",
    "event_trigger": "",
    "arguments": [{"role": "x", "argument": "b"}, {"role": "x", "argument": "a"}, {"role": "y", "argument": "NAN"}],
}


@pytest.mark.parametrize(
    ("schema", "output", "problems"),
    [
        # values in text order
        (["x"], '{"e": [{"trigger": "NAN", "arguments": {"x": ["a", "b"]}}]}', 0),
        # an event stays when none of its arguments are asked for
        (["z"], '{"e": [{"trigger": "NAN", "arguments": {}}]}', 0),
        # a value that reads NAN is a value
        (["y", "z"], '{"e": [{"trigger": "NAN", "arguments": {"y": "NAN", "z": "NAN"}}]}', 0),
        # a wrong answer is seen
        (["x"], '{"e": [{"trigger": "NAN", "arguments": {"x": ["b", "a"]}}]}', 1),
    ],
)
def test_answers(schema: list[str], output: str, problems: int) -> None:
    item = {"event_type": "e", "trigger": True, "arguments": schema}
    case = {"text": "a b", "schema": [item], "annotation": [EVENT], "expected": {"output": output}}
    assert len([*check_target({"kind": "target", "task": "EE"}, case)]) == problems
