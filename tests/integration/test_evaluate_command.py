"""`sluice evaluate` as a process: scores, files and exit codes, in our spelling and in the original's."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

INSTRUCTION = json.dumps({"instruction": "i", "schema": ["人物", "组织机构"], "input": "text"}, ensure_ascii=False)
GOLD = [{"entity": "Ann", "entity_type": "人物"}, {"entity": "Acme", "entity_type": "组织机构"}]
RIGHT = {"人物": ["Ann"], "组织机构": ["Acme"]}
MIXED_UP = {"人物": ["Ann", "Acme"], "组织机构": []}


def evaluate(*arguments: Any, folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    command = [sys.executable, "-m", "sluice_producer", "evaluate", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, timeout=100, env=environment, cwd=folder, text=True, encoding="utf-8", check=False
    )


def write(path: Path, outputs: Sequence[Any], *, bad: str = "", **fields: Any) -> Path:
    """A prediction a document; `bad` stands between the first and the second line."""
    lines = [
        json.dumps(
            {
                "id": str(number),
                "instruction": INSTRUCTION,
                "label": json.dumps(GOLD, ensure_ascii=False),
                "output": each if isinstance(each, str) else json.dumps(each, ensure_ascii=False),
                **fields,
            },
            ensure_ascii=False,
        )
        for number, each in enumerate(outputs)
    ]
    path.write_text("".join(f"{line}\n" for line in [lines[0], *([bad] if bad else []), *lines[1:]]), encoding="utf-8")
    return path


def test_scores_on_standard_output_and_as_json(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", [RIGHT, MIXED_UP, "no JSON"], task="NER", source="新闻")
    done = evaluate("p.jsonl", "--sort-by", "source", "--json", "new/out.json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for said in (
        "p.jsonl: NER, 3 documents, 3 outputs",
        "comparable with published scores",
        "Not parsed: 1 of 3 outputs (33.3%)",
        "2,000 resamples",
        "All figures are in new/out.json.",
    ):
        assert said in done.stdout, done.stdout
    assert max(map(cell_len, done.stdout.splitlines())) <= 80
    rows = {cells[0]: cells[1:4] for line in done.stdout.splitlines() if (cells := line.split())}
    assert rows["total"] == rows["新闻"] == ["75.00", "50.00", "60.00"]  # 3 of 4 said, 3 of 6 in the gold
    figures = json.loads((tmp_path / "new/out.json").read_text(encoding="utf-8"))
    assert figures["original"]["新闻"] == {"总样本数": 3, "错误数": 1, "P": 75.0, "R": 50.0, "F1": 60.0}
    assert figures["confusion"] == [{"level": "fact", "gold": "组织机构", "predicted": "人物", "count": 1}]
    assert [(each["label"], each["gold"]) for each in figures["labels"]] == [("人物", 3), ("组织机构", 3)]
    assert not (tmp_path / "output_msg").exists()


def test_the_original_s_command_and_its_file(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    write(tmp_path / "results/p.json", [RIGHT, RIGHT], source="a")
    original = ["--path1", "results/p.json", "--task", "NER", "--sort_by", "source", "--match_mode", "set"]
    unused = ["--metrics_list", "f1", "--language", "zh", "--NAN", "NAN", "--prefix", "x"]
    done = evaluate(*original, *unused, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "match mode set" in done.stdout
    assert "OneKE's result file is results/output_msg/p.json." in done.stdout
    raw = (tmp_path / "results/output_msg/p.json").read_text(encoding="utf-8")
    entry = {"总样本数": 2, "错误数": 0, "P": 100.0, "R": 100.0, "F1": 100.0}
    assert raw == json.dumps({"total": entry, "a": entry}, indent=4, ensure_ascii=False)


def test_the_original_s_options_are_not_in_the_help(tmp_path: Path) -> None:
    done = evaluate("--help", folder=tmp_path)
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("--clean", "--lenient", "--compare", "NER|RE|SPO|EE|EET|EEA|KG"))
    assert not any(name in done.stdout for name in ("--sort_by", "--NAN", "--prefix", "--match_mode"))
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_bad_line_is_named_and_the_rest_is_scored(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", [RIGHT, RIGHT], bad='{"id": "7", "output": null}')
    done = evaluate("p.jsonl", "--task", "NER", "--json", "out.json", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "p.jsonl, line 2: it has no `instruction`, or null; add it.\n"
    assert "Bad lines, not counted and named on standard error: 1." in done.stdout
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["bad_lines"][0]["number"] == 2


def test_another_file_is_compared_over_the_documents_of_both(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", [MIXED_UP] * 20)
    write(tmp_path / "better.jsonl", [RIGHT] * 19, bad="{")
    done = evaluate("p.jsonl", "--task", "NER", "--compare", "better.jsonl", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("better.jsonl, line 2: it is not JSON")
    assert "better.jsonl against p.jsonl, 19 documents of both" in done.stdout
    assert "50.00    100.00  +50.00  50.00 to 50.00  100.0%   0.0%" in done.stdout
    assert "Only in p.jsonl, not compared: 1 document." in done.stdout
    assert max(map(cell_len, done.stdout.splitlines())) <= 80


def test_json_without_a_file_takes_the_place_of_the_tables(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", [RIGHT])
    done = evaluate("p.jsonl", "--task", "NER", "--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["documents"] == 1
    before = (tmp_path / "p.jsonl").read_bytes()
    done = evaluate("p.jsonl", "--task", "NER", "--json", "p.jsonl", folder=tmp_path)
    assert (done.returncode, (tmp_path / "p.jsonl").read_bytes()) == (1, before)
    assert "would be overwritten" in done.stderr
    assert "Scores" in done.stdout


def test_departures_from_the_original_are_named_first(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", ["```json\n" + json.dumps({"人物": ["Ann", "Ann"]}) + "\n```", RIGHT])
    done = evaluate("p.jsonl", "--task", "NER", "--clean", "--lenient", folder=tmp_path)
    heading = done.stdout.splitlines()[:4]
    assert heading[1] == "NOT comparable with published scores:"
    assert heading[2].startswith("  --clean")
    assert heading[3].startswith("  --lenient")
    assert "100.00   75.00   85.71" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["p.jsonl"], 1, "NER, RE, SPO, EE, EET, EEA, KG"),  # no task, and the lines name none
        (["two.jsonl"], 1, "its lines name several"),
        (["p.jsonl", "--task", "MRC"], 2, "'MRC' is not one of"),
        (["none.jsonl", "--task", "NER"], 2, "does not exist"),
        (["--task", "NER"], 2, "Name one prediction file"),
        (["p.jsonl", "--path1", "p.jsonl", "--task", "NER"], 2, "Name one prediction file"),
        (["p.jsonl", "--task", "NER", "--metrics_list", "rouge"], 2, "'rouge' is not"),
        (["empty.jsonl", "--task", "NER"], 1, "holds no predictions"),
    ],
)
def test_a_slip_is_told_in_a_line(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    write(tmp_path / "p.jsonl", [RIGHT])
    write(tmp_path / "two.jsonl", [RIGHT], task="NER", bad=json.dumps({"task": "RE"}))
    (tmp_path / "empty.jsonl").write_text("\n")
    done = evaluate(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
