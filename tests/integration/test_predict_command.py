"""Convert, predict, evaluate: the three commands chained, through an engine and through the queue."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sluice_processes import started

pytestmark = pytest.mark.timeout(300)

DOCUMENTS = [
    {
        "text": "Marta Keller joined Orlan Bank in Oslo.",
        "entity": [
            {"entity": "Marta Keller", "entity_type": "person"},
            {"entity": "Orlan Bank", "entity_type": "organization"},
            {"entity": "Oslo", "entity_type": "location"},
        ],
    },
    {"text": "Nothing was decided.", "entity": []},
    {"text": "Lima is warm.", "entity": [{"entity": "Lima", "entity_type": "location"}]},
]
TYPES = ["person", "organization", "location", "date", "money", "product", "award", "law", "disease", "event"]


def sluice(*arguments: str, folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    environment |= {f"SLUICE_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "sluice_producer", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=250, env=environment, check=False
    )


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    (tmp_path / "docs.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in DOCUMENTS))
    (tmp_path / "schema.json").write_text(f"{json.dumps(TYPES)}\n[]\n{{}}\n")
    done = sluice("convert", "docs.jsonl", "test.jsonl", "--schema", "schema.json", "--task", "NER", "--language", "en",
                  "--split", "test", "--split-num", "6", folder=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return tmp_path


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def evaluated(folder: Path) -> dict[str, Any]:
    done = sluice("evaluate", "out.jsonl", "--task", "NER", "--json", "scores.json", folder=folder)
    assert done.returncode == 0, done.stderr
    scores: dict[str, Any] = json.loads((folder / "scores.json").read_text())
    return scores


def answers_belong_to_their_questions(folder: Path) -> None:
    """Two records a document (6 and 4 labels), each with its own labels answered from its own text."""
    asked, answered = records(folder / "test.jsonl"), records(folder / "out.jsonl")
    assert [{**each, "output": ""} for each in answered] == [{**each, "output": ""} for each in asked]
    assert len(asked) == 2 * len(DOCUMENTS)
    for each in answered:
        question = json.loads(each["instruction"])
        answer = json.loads(each["output"])
        assert [*answer] == question["schema"]
        assert all(value in question["input"] for values in answer.values() for value in values)


def test_through_an_engine(converted: Path) -> None:
    done = sluice("predict", "test.jsonl", "out.jsonl", folder=converted, model="sluice-tiny")
    assert (done.returncode, done.stdout) == (
        0,
        "6 records written to out.jsonl, 0 of them without a whole answer; 0 bad lines.\n",
    )
    answers_belong_to_their_questions(converted)
    assert evaluated(converted)["documents"] == len(DOCUMENTS)


def test_a_record_that_does_not_fit_costs_only_its_own_answer(converted: Path) -> None:
    first, *others = (converted / "test.jsonl").read_text().splitlines(keepends=True)
    longest = json.loads(first)
    question = json.loads(longest["instruction"])
    longest["instruction"] = json.dumps({**question, "input": "word " * 3000})
    (converted / "test.jsonl").write_text("".join([json.dumps(longest), "\n{\n", *others]))
    done = sluice("predict", "test.jsonl", "out.jsonl", folder=converted, model="sluice-tiny")
    assert done.returncode == 1
    assert "line 1: A prompt of" in done.stderr
    assert "line 2: the line is not JSON" in done.stderr
    assert [bool(each["output"]) for each in records(converted / "out.jsonl")] == [False, *[True] * len(others)]


def test_through_the_queue(converted: Path, redis: Redis, redis_url: str) -> None:
    settings = {"redis_url": redis_url, "model": "sluice-tiny", "answer_tokens": "64"}
    with started(converted, "worker", **settings) as worker:
        worker.await_ready()
        done = sluice("predict", "test.jsonl", "out.jsonl", "--queue", folder=converted, **settings)
        assert done.returncode == 0, done.stderr + worker.said()
    answers_belong_to_their_questions(converted)
    assert redis.dbsize() > 0
    assert evaluated(converted)["documents"] == len(DOCUMENTS)


def test_an_answer_to_nothing_leaves_no_file(converted: Path) -> None:
    done = sluice("predict", "test.jsonl", "out.jsonl", folder=converted, model="no-such-model")
    assert done.returncode == 1
    assert (
        done.stderr
        == "error: There is no model folder 'no-such-model'. Set SLUICE_MODEL to a folder, or to sluice-tiny.\n"
    )
    assert not (converted / "out.jsonl").exists()
    assert not [each for each in converted.iterdir() if each.name.startswith(".out")]
