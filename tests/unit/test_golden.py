"""The protocol against the recorded behaviour of the original: published vectors where they lie, our own always."""

import json
from collections import Counter
from typing import Any

import golden_evaluate
import golden_vectors
import pytest
from golden_vectors import CHECKS, OWN, Vector

from sluice_worker.protocol.document_id import document_id
from sluice_worker.protocol.instruction import build
from sluice_worker.protocol.merge import merge
from sluice_worker.protocol.parse import parse, parse_strict

PUBLIC = [vector for vector in golden_vectors.load(golden_vectors.public()) if vector.kind in CHECKS]
RECORDED = [
    vector
    for vector in golden_vectors.load(OWN)
    if vector.kind == "convert" and "records" in vector.content["expected"]
]
NO_VECTORS = "the published vectors are not here: set SLUICE_GOLDEN to their folder"


@pytest.mark.skipif(not PUBLIC, reason=NO_VECTORS)
@pytest.mark.parametrize("vector", PUBLIC, ids=lambda vector: vector.name)
def test_published_vector(vector: Vector) -> None:
    assert golden_vectors.problems(vector) == []


def test_a_difference_is_reported() -> None:
    cases = [{"text": "abc", "expected": "0"}, {"text": "abc", "expected": document_id("abc")}]
    (problem,) = golden_vectors.problems(Vector("id.json", "id", {"kind": "id", "cases": cases}))
    assert problem.startswith("case 0: id is 'ba7816bf")


def test_a_wrong_count_fails_its_vector() -> None:
    documents = [{"gold": [["e", "t", [["a", "r"]]]], "pred": [["e", "u", [["a", "r"]]]]}]
    result = {"总样本数": 1, "错误数": 0, "event_P": 0.0, "event_R": 0.0, "event_F1": 0.0}
    result |= {"argument_P": 100.0, "argument_R": 100.0, "argument_F1": 100.0}
    counts = {"event_tp": 0, "event_pred": 1, "event_gold": 1, "arg_tp": 1, "arg_pred": 1, "arg_gold": 1}
    case = {"task": "EE", "match_mode": "normal", "docs": documents, "expected": {"result": result, "counts": counts}}
    assert list(golden_evaluate.check_metric(case, case)) == []
    counts["arg_tp"] = 0
    assert [each.split()[0] for each in golden_evaluate.check_metric(case, case)] == ["counts"]


def test_a_folder_without_vectors_is_a_failure(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden_vectors.main([str(OWN), str(tmp_path)]) == 1
    assert "SLUICE_GOLDEN" in capsys.readouterr().out


def test_there_are_recorded_answers_of_every_task() -> None:
    assert {vector.content["task"] for vector in RECORDED} == {"NER", "RE", "SPO", "EE", "EEA", "EET", "KG"}


@pytest.mark.parametrize("vector", RECORDED, ids=lambda vector: vector.name)
def test_recorded_instructions_and_answers(vector: Vector) -> None:
    """Each recorded instruction can be built again byte for byte, and each recorded answer is read without loss."""
    task, language = vector.content["task"], vector.content["args"]["language"]
    for record in vector.content["expected"]["records"]:
        asked = json.loads(record["instruction"])
        assert build(task, language, asked["schema"], asked["input"]) == record["instruction"]
        if "id" in record:
            assert record["id"] == document_id(asked["input"])
        if "output" in record:
            strict, usable = parse_strict(task, record["output"]), parse(task, record["output"])
            assert (strict.how, strict.skipped) == ("strict", ())
            assert (usable.how, usable.skipped, len(usable.records)) == ("strict", (), len(strict.records))


SPLITS = [vector for vector in RECORDED if "-train-split" in vector.name and "splitnone" not in vector.name]


@pytest.mark.parametrize("vector", SPLITS, ids=lambda vector: vector.name)
def test_merged_answers_to_splits_are_the_answer_to_the_whole(vector: Vector) -> None:
    whole_name = vector.name[: vector.name.index("split")] + "splitnone.json"
    (whole,) = [each for each in RECORDED if each.name == whole_name]
    task = vector.content["task"]
    splits, wholes = _answers(vector), _answers(whole)
    assert splits.keys() == wholes.keys()
    for text, ((schema, answer),) in wholes.items():
        parts = [parse(task, each).records for _, each in splits[text]]
        assert merge(parts, [_label(item) for item in schema]) == parse(task, answer).records


def _answers(vector: Vector) -> dict[str, list[tuple[list[Any], str]]]:
    """What was asked and answered by text; not of texts that stand twice, nor the original's record without labels."""
    times = Counter(document["text"] for document in vector.content["input"]["docs"])
    answers: dict[str, list[tuple[list[Any], str]]] = {}
    for record in vector.content["expected"]["records"]:
        asked = json.loads(record["instruction"])
        if times[asked["input"]] == 1 and asked["schema"]:
            answers.setdefault(asked["input"], []).append((asked["schema"], record["output"]))
    return answers


def _label(item: Any) -> str:
    if isinstance(item, str):
        return item
    return str(item.get("predicate") or item.get("event_type") or item.get("entity_type"))
