"""`sluice judge` as a process: a scripted engine that is better or worse by its adapter, and the model that ships."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
import tiny_adapters
from rich.cells import cell_len

from sluice_schemas.label import Label
from sluice_worker.engine import model_folder
from sluice_worker.engine.adapters import CONFIG, WEIGHTS
from sluice_worker.evaluation.trial import Trial

pytestmark = pytest.mark.timeout(300)

SCHEMA = "id: own/people\nversion: 1\ntask: NER\nlanguage: en\ntypes: [{name: person}]\n"
# Says with an adapter whom the text names, and without one nobody; or the other way round.
SCRIPTED = """
import json, re, sys
from sluice_producer.cli import main
from sluice_worker.engine import load
from sluice_worker.engine.scripted import ScriptedEngine

def right(prompt, adapter=None):
    return json.dumps({"person": re.findall(r"Ann\\d+", prompt)})

def wrong(prompt, adapter=None):
    return json.dumps({"person": []})

bare, adapted = (wrong, right) if sys.argv.pop(1) == "better" else (right, wrong)
load.load = lambda settings: ScriptedEngine(bare, adapted=adapted)
sys.exit(main())
"""


def ran(command: Sequence[object], folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    environment |= settings
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        env=environment,
        check=False,
    )


def scripted(kind: str, folder: Path, *more: object, **settings: str) -> "subprocess.CompletedProcess[str]":
    command = ["-c", SCRIPTED, kind, "judge", "--labels", "labels.jsonl", *more]
    # How fast a script answers is chance.
    return ran(command, folder, SLUICE_GATE_LATENCY="1000", **settings)


def label(text: str, *people: str, ref: str = "own/people@1") -> bytes:
    entities = [{"text": each, "type": "person"} for each in people]
    fields = {"document": {"id": text[:9], "text": text}, "schema_ref": ref, "verdict": "imported", "author": "kim"}
    return Label.of({**fields, "entities": entities}).encode() + b"\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.yaml").write_text(SCHEMA)
    people = [f"Ann{i}" for i in range(20)]
    foreign = label("Zoe came.", "Zoe", ref="other/people@1")
    (tmp_path / "labels.jsonl").write_bytes(b"".join(label(f"{each} came.", each) for each in people) + foreign)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / CONFIG).write_bytes(orjson.dumps({"peft_type": "LORA", "r": 4}))
    (adapter / WEIGHTS).write_bytes(b"weights")
    return tmp_path


def test_a_better_adapter_is_told_by_the_exit_code(folder: Path) -> None:
    given = ("--schema", "people.yaml", "--adapter", "adapter", "--json", "out.json")
    done = scripted("better", folder, *given)
    assert done.returncode == 0, done.stderr
    assert "FAILED" not in done.stdout
    assert done.stdout.endswith("The adapter is better.\n")
    rows = [line.split() for line in done.stdout.splitlines()[2:5]]
    assert rows[0] == ["own/people@1"]
    assert rows[1][:7] == ["bare", "20", "0.0", "0.0%", "-", "0.0%", "0"]
    assert rows[2][:7] == ["adapter", "20", "100.0", "0.0%", "0.0%", "0.0%", "0"]
    figures = orjson.loads((folder / "out.json").read_bytes())
    assert figures["decision"]["is_better"] is True
    found = Trial.of_json(figures["adapter"])
    assert found.adapter is not None
    assert found.schemas["own/people@1"].f1s == (100.0,) * 3


def test_a_worse_one_too_with_all_reasons(folder: Path) -> None:
    given = ("--schema", "people.yaml", "--adapter", "adapter", "--runs", "1", "--json", "out.json")
    done = scripted("worse", folder, *given)
    assert done.returncode == 1, done.stderr
    assert "FAILED  F1 over all goes from 100.00 to 0.00" in done.stdout
    assert "FAILED  own/people@1: F1 100.00 to 0.00 on 20 documents, a loss of more than 1." in done.stdout
    assert done.stdout.endswith("The adapter is not better.\n")
    assert orjson.loads((folder / "out.json").read_bytes())["decision"]["is_better"] is False


def test_what_cannot_be_judged_is_refused_before_a_model_loads(folder: Path) -> None:
    for given, why in [
        ((), "own/people@1, which does not ship; give its file by --schema."),
        (("--schema", "news/entities-en@1"), "No label in labels.jsonl is made under news/entities-en@1"),
        (("--schema", "people.yaml", "--json", "labels.jsonl"), "would be overwritten"),
        (("--schema", "people.yaml", "--adapter", "."), "is no adapter"),
    ]:
        done = ran(
            ["-m", "sluice_producer", "judge", "--labels", "labels.jsonl", *given], folder, SLUICE_MODEL="nowhere"
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert why in done.stderr
    (folder / "labels.jsonl").write_bytes(label("Nobody came.", "Ann1"))
    done = scripted("better", folder, "--schema", "people.yaml")
    assert done.returncode == 1
    assert "The label of document 'Nobody ca' cannot be used" in done.stderr


def test_the_model_that_ships(folder: Path) -> None:
    ref = "news/entities-en@1"
    labels = label("Marta Keller joined Orlan Bank in Oslo.", "Marta Keller", ref=ref), label("It is late.", ref=ref)
    (folder / "labels.jsonl").write_bytes(b"".join(labels))
    tiny_adapters.make(model_folder.resolve("sluice-tiny"), folder / "random", seed=1)
    given = ("--labels", "labels.jsonl", "--adapter", "random", "--runs", "1", "--json", "out.json")
    # A random adapter does not end its answers.
    done = ran(["-m", "sluice_producer", "judge", *given], folder, SLUICE_ANSWER_TOKENS="40")
    assert done.returncode == 1, done.stderr
    assert "FAILED  2 documents to judge by; at least 20 tell anything." in done.stdout
    assert max(map(cell_len, done.stdout.split("\n\n")[0].splitlines())) <= 80
    figures = orjson.loads((folder / "out.json").read_bytes())
    bare, adapted = (Trial.of_json(figures[who]) for who in ("bare", "adapter"))
    assert bare.model == adapted.model
    assert bare.adapter is None
    # The model says a little more than the label.
    correct, predicted, gold = map(sum, zip(*bare.schemas[ref].rows["fact"], strict=True))
    assert (correct, gold) == (1, 1)
    assert predicted > 1
    assert bare.schemas[ref].rows != adapted.schemas[ref].rows
