"""The benchmarks of the engines run, at the smallest scale and on Transformers alone, and say what they promise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench.rounds import Flight, Turn, fly, race, rate, ratio
from bench.throughput import Pass
from click.testing import CliRunner

from sluice_worker.engine.request import Request
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.protocol.prompt import Prompt

TESTS = Path(__file__).parents[1]
COMMAND = """\
from pathlib import Path
from bench.serving import measure, show
from bench.fleet import Scale
from bench.shape import SMALL
import json, sys
documents = {"sluice-tiny": 2, "random": 2}
scale = Scale(rounds=1, share=0.02, documents=documents, shape=SMALL, answer_tokens=16, kinds=("transformers",))
found = measure(scale=scale)
Path(sys.argv[1]).write_text(json.dumps(found))
show(found)
"""


@pytest.mark.timeout(240)
def test_every_letter_has_its_figures_and_its_table(tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(target)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(target.read_text())
    assert [*found] == ["a", "b", "f", "g"]
    queued = found["a"]["random"]["transformers"]
    assert queued["queue_to_ceiling"] == pytest.approx(
        queued["queue_documents_per_s"] / queued["ceiling_documents_per_s"]
    )
    assert queued["processor_ms"]["worker"] > queued["processor_ms"]["redis"]
    engine = found["b"]["random"]["engines"]["transformers"]
    assert engine["times_quick_start"] == pytest.approx(
        engine["requests_per_s"] / found["b"]["random"]["quick_requests_per_s"]
    )
    assert 0 < engine["share"] < 1
    assert set(found["f"]["levels"]["transformers"]) == {"free", "json", "grounded"}
    assert found["f"]["continuous_batching"]["documents_per_s"] > 0
    grown = found["g"]["transformers"]
    assert grown["types"]["36"]["requests"] == 6 * grown["types"]["4"]["requests"]
    assert grown["length"]["16"]["requests"] > 3 * grown["length"]["4"]["requests"]
    assert all(f"\n{letter}. " in f"\n{done.stdout}" for letter in found)


def test_what_nobody_measures_is_refused() -> None:
    from bench.__main__ import main

    done = CliRunner().invoke(main, ["--only", "a,z"])
    assert done.exit_code == 2
    assert "No such benchmark: z." in done.output


def asked(count: int) -> list[list[Request]]:
    return [[Request(Prompt((f"{i}.{j}",)), 5) for j in range(2)] for i in range(count)]


def test_a_flight_counts_every_request_once() -> None:
    engine = ScriptedEngine(lambda prompt: prompt)
    found = fly(engine, asked(7), most=3)
    assert (found.documents, found.requests, found.completion_tokens) == (7, 14, 14 * 3)
    assert found.hit_rate == 0
    assert Flight(1, 1, 10, 1, 1.0, cached_tokens=4).hit_rate == 0.4


def test_a_race_goes_round_by_round_and_compares_within_one() -> None:
    order: list[tuple[str, int]] = []

    def turn(name: str, seconds: tuple[float, ...]) -> Turn:
        def run(number: int) -> Pass:
            order.append((name, number))
            return Pass(10, 10, 10, 10, seconds[number])

        return run

    entrants = {"slow": turn("slow", (9.0, 4.0, 40.0, 2.0)), "fast": turn("fast", (9.0, 2.0, 10.0, 1.0))}
    passes = race(entrants, rounds=3)
    assert order == [(name, number) for number in range(4) for name in entrants]
    # The second minute of the machine was slow for both; its ratio alone is another.
    assert ratio(passes["fast"], passes["slow"]) == 2.0
    assert rate(passes["fast"]) == 5.0
