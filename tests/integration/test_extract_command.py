"""`sluice extract` as a process: a result on standard output, and slips told before the engine loads."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny_llama

TEXT = "Ann Lee founded Acme in Paris.\r\n😀 张三 left.\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.make(tmp_path_factory.mktemp("tiny"))


def extract(*arguments: str, model: Path, text: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    environment |= {"SLUICE_MODEL": str(model), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "sluice_producer", "extract", *arguments]
    return subprocess.run(command, input=text, capture_output=True, timeout=100, env=environment, check=False)


def test_the_result_of_a_text_on_standard_input(folder: Path) -> None:
    done = extract("-", "--schema", "news/entities-en@1", model=folder, text=TEXT.encode())
    assert done.returncode == 0, done.stderr.decode()
    result: dict[str, Any] = json.loads(done.stdout)
    assert (result["schema_ref"], result["task"]) == ("news/entities-en@1", "NER")
    assert result["usage"]["requests"] >= 1
    assert result["model"].startswith("model@")
    for each in result.get("entities", []):
        if "span" in each:
            assert TEXT[each["span"]["start"] : each["span"]["end"]]
    for problem in result["problems"]:
        assert problem["chunk"]["end"] <= len(TEXT)
    assert max(problem["chunk"]["end"] for problem in result["problems"]) == len(TEXT), "line ends were changed"


SCHEMA = "id: a\nversion: 1\ntask: NER\nlanguage: en\ntypes: [{name: person}, {name: person}]\n"


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["-", "--schema", "news/entitys-en@1"], b"Bob.", "no schema 'news/entitys-en@1'. Did you mean"),  # misspelt
        (["-", "--schema", "twice.yaml"], b"Bob.", "'person' stands twice"),  # not valid
        (["-", "--schema", "none.yaml"], b"Bob.", "cannot be read"),  # not there
        (["-", "--schema", "news/entities-en@1"], b"  \n", "the text is empty"),  # nothing to read
        (["-", "--schema", "news/entities-en@1"], b"a\x00b", "NUL"),  # no text
        (["-", "--schema", "news/entities-en@1"], b"Bob \xff", "Byte 4 of the file is not UTF-8"),  # another encoding
    ],
)
def test_a_slip_is_told_in_a_line_without_a_model(tmp_path: Path, arguments: list[str], text: bytes, said: str) -> None:
    """The model folder does not exist: whoever reads it first would say so instead."""
    (tmp_path / "twice.yaml").write_text(SCHEMA)
    at = [str(tmp_path / each) if each.endswith(".yaml") else each for each in arguments]
    started = time.monotonic()
    done = extract(*at, model=tmp_path / "no-model", text=text)
    assert time.monotonic() - started < 30
    error = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    assert said in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_model_that_is_not_there_is_told_too(tmp_path: Path) -> None:
    done = extract("-", "--schema", "news/entities-en@1", model=tmp_path / "no-model", text=b"Bob.")
    assert (done.returncode, "no model folder" in done.stderr.decode()) == (1, True)
