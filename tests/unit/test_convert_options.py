"""The options of `sluice convert`: OneKE's own command lines, our schemas, and slips told in a sentence."""

import json
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sluice_schemas.errors import BadInput, NotFound
from sluice_worker.commands.convert import convert

DOCUMENTS = [
    {"text": "Ann Lee joined Acme.", "entity": [{"entity": "Ann Lee", "entity_type": "person"}]},
    {"text": "张三 left.", "entity": [{"entity": "张三", "entity_type": "人物"}]},
    {"text": "Nothing.", "entity": []},
]
LABELS = ["person", "company", "人物", "place", "date", "sum", "law"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with OneKE's files in it."""
    folder = tmp_path / "NER"
    folder.mkdir()
    (folder / "sample.json").write_text("".join(f"{json.dumps(each)}\n" for each in DOCUMENTS))
    (folder / "schema.json").write_text(json.dumps(LABELS) + "\n[]\n{}\n")
    (folder / "hard.json").write_text(json.dumps({"NER": {"NER": {"person": ["人物"]}, "other": {}}}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    """What the command says. Raises what it raises."""
    done = CliRunner().invoke(convert, arguments, standalone_mode=False, catch_exceptions=False)
    return done.stderr


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


ONEKE = shlex.split(
    "--src_path NER/sample.json --tgt_path out.json --schema_path NER/schema.json --language zh --task NER"
)


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        # its README, training
        (["--split_num", "6", "--random_sort", "--split", "train"], [7, 7, 7]),
        # its README, test
        (["--split_num", "6", "--split", "test"], [7, 7, 7]),
        # its defaults
        ([], [4, 3, 4, 3, 4, 3]),
        # hard negatives: person with its rival and four more, 人物 and four more, half of all for nothing
        (["--split_num", "4", "--cluster_mode", "--hard_negative_path", "NER/hard.json"], [4, 2, 5, None]),
        # a file alone switches nothing on there
        (["--hard_negative_path", "NER/hard.json"], [4, 3, 4, 3, 4, 3]),
    ],
)
def test_command_lines_of_oneke(data: Path, arguments: list[str], asked: list[int | None]) -> None:
    said = run(*ONEKE, *arguments)
    made = records(data / "out.json")
    assert {record["source"] for record in made} == {"NER"}
    sizes = [len(json.loads(record["instruction"])["schema"]) for record in made]
    known = asked.index(None) if None in asked else len(asked)
    assert sizes[:known] == asked[:known]
    assert None in asked or len(sizes) == len(asked)
    assert f"3 documents, {len(made)} records; 0 documents skipped" in said


SCHEMA = ["--schema", "NER/schema.json"]


def test_a_shipped_schema_brings_task_language_and_descriptions(data: Path) -> None:
    run("NER/sample.json", "out.json", "--schema", "news/entities-en@1", "--described", "--source", "mine")
    made = records(data / "out.json")
    asked = json.loads(made[0]["instruction"])
    assert asked["instruction"].startswith("You are an expert in named entity recognition.")
    assert asked["schema"]["person"].startswith("A named human being")
    assert (len(made), made[0]["source"]) == (3, "mine")


YAML = """
id: mine
version: 1
task: NER
language: zh
split_num: 1
types: [{name: a}, {name: b}]
examples: [{input: x, output: {a: [x]}}]
"""


def test_a_schema_file_of_ours_brings_examples_and_how_many_labels_are_asked(data: Path) -> None:
    (data / "mine.yaml").write_text(YAML)
    run("NER/sample.json", "out.json", "--schema", "mine.yaml", "--examples", "--split", "test")
    asked = [json.loads(each["instruction"]) for each in records(data / "out.json")]
    assert [each["schema"] for each in asked[:2]] == [["a"], ["b"]]
    assert asked[0]["example"] == [{"input": "x", "output": {"a": ["x"]}}]
    assert asked[0]["instruction"].endswith("你可以参考example进行抽取。")


@pytest.mark.parametrize("options", [[], ["--compatible"]])
def test_the_compatible_way_loses_what_the_original_loses(data: Path, options: list[str]) -> None:
    """Typed triples that differ in a type alone: the original keeps the first."""
    facts = [{"head": "A", "head_type": kind, "relation": "r", "tail": "B", "tail_type": "y"} for kind in ("p", "q")]
    (data / "spo.json").write_text(json.dumps({"text": "A B", "relation": facts}))
    (data / "labels.json").write_text('["p_r_y", "q_r_y"]\n[]\n{}')
    run("spo.json", "out.json", "--schema", "labels.json", "--task", "SPO", "--neg-schema", "0", *options)
    (made,) = records(data / "out.json")
    types = [item["subject_type"] for item in json.loads(made["instruction"])["schema"]]
    assert types == (["p"] if options else ["p", "q"])


SRC = ["NER/sample.json", "out.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["NER/sample.json", *SCHEMA], "SRC and TGT"),  # nowhere to write
        ([*SRC, *SCHEMA, "--src_path", "NER/sample.json"], "once each"),  # two to read
        (["NER/sample.json", "NER/sample.json", *SCHEMA], "would be overwritten"),
        (["NER/sample.json", "none/out.json", *SCHEMA], "no folder"),
        ([*SRC, "--schema", "none.json"], "no schema file"),
        ([*SRC, "--schema", "news/entitys-en@1"], "Did you mean"),
        ([*SRC, "--schema", "news/entities-en@1", "--task", "RE"], "--task says RE, news/entities-en@1 says NER"),
        ([*SRC, "--schema", "news/entities-en@1", "--language", "zh"], "--language says zh"),
        ([*SRC, "--schema", "news/entities-en@1", "--examples"], "has no examples"),
        ([*SRC, *SCHEMA, "--described"], "YAML schemas only"),
        ([*SRC, *SCHEMA, "--cluster_mode"], "--hard_negative_path"),
        ([*SRC, *SCHEMA, "--hard-negatives", "NER/hard.json", "--source", "x"], "for NER, other, not for 'x'"),
        ([*SRC, *SCHEMA, "--split_num", "0"], "split_num is 0"),
        ([*SRC, *SCHEMA, "--neg_schema", "2"], "from 0 to 1"),
    ],
)
def test_a_slip_is_told_and_nothing_is_written(data: Path, arguments: list[str], said: str) -> None:
    before = (data / "NER/sample.json").read_bytes()
    with pytest.raises((BadInput, NotFound, click.UsageError), match=said):
        run(*arguments)
    assert sorted(path.name for path in data.iterdir()) == ["NER"]
    assert (data / "NER/sample.json").read_bytes() == before


def test_a_schema_of_another_task_is_noticed(data: Path) -> None:
    (data / "NER/empty.json").write_text("")
    said = run("NER/empty.json", "out.json", *SCHEMA, "--task", "RE")
    assert "names no label for RE" in said
    assert (data / "out.json").read_bytes() == b""
