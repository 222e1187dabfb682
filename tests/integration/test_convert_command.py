"""`sluice convert` as a process: whole files or none, and the same bytes every time."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "sluice_producer", "convert"]
DOCUMENTS = [
    {"text": "Ann Lee joined Acme.", "entity": [{"entity": "Ann Lee", "entity_type": "person"}]},
    {"text": "张三 left 😀.\u2028", "entity": [{"entity": "张三", "entity_type": "人物"}]},
    {"text": "Nothing.", "entity": []},
]
LABELS = ["person", "company", "人物", "place", "date", "sum", "law"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder as OneKE has it: NER/sample.json, NER/schema.json."""
    folder = tmp_path / "NER"
    folder.mkdir()
    (folder / "sample.json").write_text("".join(f"{json.dumps(each)}\n" for each in DOCUMENTS))
    (folder / "schema.json").write_text(json.dumps(LABELS) + "\n[]\n{}\n", encoding="utf-8")
    return tmp_path


def convert(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    own = {**os.environ, "PYTHONIOENCODING": "utf-8", **environment}
    command = [*COMMAND, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, env=own, check=False)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_the_same_bytes_under_any_hash_seed(data: Path) -> None:
    made = []
    for hash_seed in ("1", "2"):
        target = f"{hash_seed}.json"
        arguments = ["NER/sample.json", target, "--schema", "NER/schema.json", "--neg-schema", "0.5", "--random-sort"]
        assert convert(data, *arguments, PYTHONHASHSEED=hash_seed).returncode == 0
        made.append((data / target).read_bytes())
    assert made[0] == made[1]
    assert convert(data, *arguments[:1], "3.json", *arguments[2:], "--seed", "7").returncode == 0
    assert (data / "3.json").read_bytes() != made[0]


def test_a_gzipped_source_gives_the_same_records(data: Path) -> None:
    packed = data / "NER/packed.json.gz"
    packed.write_bytes(gzip.compress((data / "NER/sample.json").read_bytes()))
    for source, target in (("NER/sample.json", "plain.json"), ("NER/packed.json.gz", "unpacked.json")):
        assert convert(data, source, target, "--schema", "NER/schema.json").returncode == 0
    assert (data / "plain.json").read_bytes() == (data / "unpacked.json").read_bytes()
    packed.write_bytes(packed.read_bytes()[:-9])
    done = convert(data, "NER/packed.json.gz", "cut.json", "--schema", "NER/schema.json")
    assert (done.returncode, (data / "cut.json").exists()) == (1, False)
    assert "packed.json.gz is no whole gzip file" in done.stderr
    assert "Traceback" not in done.stderr


def test_standard_output_that_is_a_file_is_added_to(data: Path) -> None:
    with (data / "all.json").open("w") as kept:
        kept.write("kept\n")
        kept.flush()
        command = [*COMMAND, "NER/sample.json", "/dev/stdout", "--schema", "NER/schema.json"]
        subprocess.run(command, cwd=data, stdout=kept, timeout=100, check=True)
    first, *others = (data / "all.json").read_bytes().splitlines()
    assert (first, len(others)) == (b"kept", 6)


def test_a_replaced_file_keeps_its_mode_and_a_source_is_never_replaced(data: Path) -> None:
    target = data / "out.json"
    target.write_text("old")
    target.chmod(0o600)
    assert convert(data, "NER/sample.json", "out.json", "--schema", "NER/schema.json").returncode == 0
    assert (target.stat().st_mode & 0o777, len(records(target))) == (0o600, 6)
    before = (data / "NER/sample.json").read_bytes()
    done = convert(data, "NER/sample.json", "NER/sample.json", "--schema", "NER/schema.json")
    assert (done.returncode, (data / "NER/sample.json").read_bytes()) == (1, before)
    assert "would be overwritten" in done.stderr


def test_an_odd_head_type_is_a_bad_line(data: Path) -> None:
    relation = {"head": "a", "head_type": ["x"], "relation": "r", "tail": "b"}
    (data / "kg.json").write_text(json.dumps({"text": "a b", "relation": [relation]}) + "\n")
    (data / "kg-schema.json").write_text('[]\n["r"]\n{"x": ["r"]}\n')
    done = convert(data, "kg.json", "out.json", "--schema", "kg-schema.json", "--task", "KG")
    assert done.returncode == 1
    assert "kg.json, line 1: Item 1 of `relation` has a `head_type`" in done.stderr


def test_bad_lines_are_told_and_the_rest_is_converted(data: Path) -> None:
    with (data / "NER/sample.json").open("a") as file:
        file.write('\n{"text": "SECRET"}\n{"text": "Last.", "entity": []}\n')
    done = convert(data, "NER/sample.json", "out.json", "--schema", "NER/schema.json", "--split-num", "-1")
    assert done.returncode == 1
    assert "NER/sample.json, line 5: `entity` is missing" in done.stderr
    assert "4 documents, 4 records; 0 documents skipped (nothing to ask), 1 bad lines" in done.stderr
    assert "SECRET" not in done.stderr
    assert len(records(data / "out.json")) == 4


SCHEMA = ["--schema", "NER/schema.json"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_the_old_file_alone(data: Path, number: signal.Signals) -> None:
    """The source is a pipe that never ends, so the run is in the middle when the signal comes."""
    (data / "out.json").write_text("old")
    os.mkfifo(data / "pipe")
    answering = ("env", "--default-signal=INT")
    process = subprocess.Popen([*answering, *COMMAND, "pipe", "out.json", *SCHEMA], cwd=data, stderr=subprocess.DEVNULL)
    with (data / "pipe").open("wb") as pipe:
        pipe.write(json.dumps(DOCUMENTS[0]).encode() + b"\n")
        pipe.flush()
        _until_written(data)
        process.send_signal(number)
        assert process.wait(60) != 0
    assert (data / "out.json").read_text() == "old"
    assert number == signal.SIGKILL or not [*data.glob(".out*")]


def _until_written(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not [*folder.glob(".out.json.*.part")]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_pipe_is_written_directly(data: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "NER/sample.json", "/dev/stdout", *SCHEMA], cwd=data, capture_output=True, timeout=100, check=True
    )
    assert len(done.stdout.splitlines()) == 6
    assert all(json.loads(line)["task"] == "NER" for line in done.stdout.splitlines())
