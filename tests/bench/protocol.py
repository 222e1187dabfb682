"""Converting and evaluating 100,000 documents, against one plain orjson pass over the same files in the same run.

`make bench`, or `PYTHONPATH=tests python -m bench.protocol --help`.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import orjson

from sluice_worker.training import generator

EXTRA_TYPES = ["vehicle", "animal", "plant", "chemical", "language"]
"""Types that no document has: with the generator's fifteen they make twenty."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians over the repetitions; `ratio` is ours over the orjson pass beside it."""

    name: str
    documents: int
    input_mb: float
    seconds: float
    orjson_pass_s: float
    ratio: float
    peak_mb: float


@click.command()
@click.option("--documents", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Medians are taken over these.")
@click.option("--json", "target", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(documents: int, repeat: int, target: Path | None) -> None:
    """Convert and evaluate DOCUMENTS generated documents, NER with 20 types."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        figures = measured(Path(name), documents=documents, repeat=repeat)
    click.echo(f"{'':22}{'MB':>7}{'seconds':>9}{'orjson s':>10}{'ratio':>7}{'peak MB':>9}")
    for each in figures:
        click.echo(
            f"{each.name:22}{each.input_mb:>7.0f}{each.seconds:>9.1f}{each.orjson_pass_s:>10.2f}"
            f"{each.ratio:>7.1f}{each.peak_mb:>9.0f}"
        )
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        found = {"python": platform.python_version(), "cores": os.cpu_count(), "figures": [*map(asdict, figures)]}
        target.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def measured(folder: Path, *, documents: int, repeat: int) -> list[Figure]:
    source, schema = folder / "source.jsonl", folder / "schema.json"
    _write_documents(source, documents)
    types = [*generator.inventory("en").entity_types, *EXTRA_TYPES]
    schema.write_text("\n".join(map(json.dumps, (types, [], {}))))
    converted, predicted = folder / "test.jsonl", folder / "predicted.jsonl"
    asked = ("--schema", str(schema), "--task", "NER", "--language", "en", "--split-num", "6")
    test = ("convert", str(source), str(converted), *asked, "--split", "test")
    train = ("convert", str(source), str(folder / "train.jsonl"), *asked, "--split", "train")
    evaluate = ("evaluate", str(predicted), "--task", "NER")
    figures = [
        _figure("convert, test split", test, source, documents, repeat),
        _figure("convert, train split", train, source, documents, repeat),
    ]
    _write_predictions(converted, predicted)
    return [*figures, _figure("evaluate", evaluate, predicted, documents, repeat)]


def _write_documents(path: Path, count: int) -> None:
    with path.open("wb") as file:
        for each in generator.generate("en", seed=1, count=count):
            file.write(orjson.dumps({"text": each["text"], "entity": each["entity"]}, option=orjson.OPT_APPEND_NEWLINE))


def _write_predictions(converted: Path, predicted: Path) -> None:
    """Answers as a good model gives them: gold, with every seventh record left empty."""
    with converted.open("rb") as lines, predicted.open("wb") as file:
        for number, line in enumerate(lines):
            record = orjson.loads(line)
            answer: dict[str, list[str]] = {label: [] for label in orjson.loads(record["instruction"])["schema"]}
            for entity in orjson.loads(record["label"]) if number % 7 else []:
                if entity["entity"] not in answer.get(entity["entity_type"], [entity["entity"]]):
                    answer[entity["entity_type"]].append(entity["entity"])
            record["output"] = json.dumps(answer, ensure_ascii=False)
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


def _figure(name: str, command: tuple[str, ...], source: Path, documents: int, repeat: int) -> Figure:
    """Interleaved, so that a slow minute of the machine falls on both."""
    ours, plain, peaks = [], [], []
    for _ in range(repeat):
        plain.append(_seconds(lambda: _orjson_pass(source)))
        seconds, peak_mb = _process(command)
        ours.append(seconds)
        peaks.append(peak_mb)
    mine, theirs = statistics.median(ours), statistics.median(plain)
    size_mb = source.stat().st_size / 1e6
    return Figure(name, documents, size_mb, mine, theirs, mine / theirs, statistics.median(peaks))


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _orjson_pass(path: Path) -> None:
    with path.open("rb") as lines:
        for line in lines:
            orjson.loads(line)


def _process(command: tuple[str, ...]) -> tuple[float, float]:
    """Seconds from start to end of `sluice ...`, and the most memory that it held, in MB."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "sluice_producer", *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"sluice {command[0]} ended with status {os.waitstatus_to_exitcode(status)}.")
    return seconds, usage.ru_maxrss / 1e3


if __name__ == "__main__":
    main()
