"""The benchmarks of the queue at their smallest: every figure is there and agrees with the others."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench import queue_report
from bench.queue_documents import ANSWER, SHORT, prompts, same, short
from bench.queue_latency import SHARES, Sample, percentile, poisson, summary
from bench.queue_overhead import RATIOS
from bench.queue_steps import STEPS

from sluice_schemas import shelf

TESTS = Path(__file__).parents[1]


def bench(module: str, target: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", f"bench.{module}", "--repeat", "1", "--json", str(target), *options],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )


def figures(module: str, letter: str, target: Path, *options: str) -> dict[str, Any]:
    done = bench(module, target, *options)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= queue_report.WIDTH
    found: dict[str, Any] = json.loads(target.read_text())[letter]
    return found


def test_the_queue_is_measured_against_celery_and_redis(tmp_path: Path) -> None:
    found = figures("queue_overhead", "d", tmp_path / "bench.json", "--documents", "100")
    for name, (ours, theirs) in RATIOS.items():
        assert found[name] == pytest.approx(found[ours] / found[theirs])
    steps = {each.name: found[each.name] for each in STEPS}
    assert min(steps.values()) > 0
    for name in ("accept", "claim", "commit"):
        assert steps[f"{name}_script_us"] < steps[f"{name}_us"]
    assert min(found["full_worker_us"], found["bare_worker_us"]) > 0


@pytest.mark.timeout(240)
def test_latency_is_measured_at_every_load(tmp_path: Path) -> None:
    found = figures("queue_latency", "e", tmp_path / "bench.json", "--documents", "4", "--window-s", "1")
    assert [each["share"] for each in found["loads"]] == [*SHARES]
    for load in found["loads"]:
        assert 0 < load["engine_p50_ms"] < load["p50_ms"] <= load["p95_ms"] <= load["p99_ms"]
        assert 0 < load["overhead_p50_ms"] < load["p99_ms"]
    assert found["waiting_with_result_ms"] > 0


@pytest.mark.timeout(240)
def test_sluice_is_measured_against_a_plain_task(tmp_path: Path) -> None:
    found = figures("queue_peers", "c", tmp_path / "bench.json", "--documents", "2", "--without-vllm")
    ratio = found["sluice_transformers"] / found["plain_celery"]
    assert found["transformers_to_celery"] == pytest.approx(ratio)
    assert min(found["requests_per_document"].values()) >= 1


def test_a_benchmark_leaves_the_figures_of_others_alone(tmp_path: Path) -> None:
    target = tmp_path / "new" / "bench.json"
    for letter, rate in (("c", 1.0), ("d", 2.0), ("c", 3.0)):
        queue_report.merge(target, letter, {"rate": rate})
    assert json.loads(target.read_text()) == {"c": {"rate": 3.0}, "d": {"rate": 2.0}}


@pytest.mark.parametrize(
    ("share", "value"),
    [
        (0.5, 50),  # half of a hundred are at most this
        (0.95, 95),
        (0.99, 99),
        (1.0, 100),
        (0.001, 1),  # never below the least
    ],
)
def test_percentiles_are_values_that_occurred(share: float, value: int) -> None:
    assert percentile(random.Random(1).sample(range(1, 101), 100), share) == value


def test_overhead_is_each_documents_own() -> None:
    # The slowest in the engine is not the one with most overhead: 9 - 8 = 1 s, 6 - 2 = 4 s, 3 - 1 = 2 s.
    found = summary([Sample(9, 8.5, 8), Sample(6, 2.5, 2), Sample(3, 1.25, 1)])
    assert (found["p50_ms"], found["p99_ms"]) == (6000, 9000)
    assert (found["overhead_p50_ms"], found["overhead_p99_ms"]) == (2000, 4000)
    assert (found["engine_p50_ms"], found["plan_and_merge_p50_ms"]) == (2000, 500)
    assert found["queue_and_ledger_p50_ms"] == 1750


def test_arrivals_come_at_their_rate_and_again_with_the_same_seed() -> None:
    arrivals = poisson(50.0, 100.0, random.Random(1))
    assert arrivals == sorted(arrivals)
    assert arrivals == poisson(50.0, 100.0, random.Random(1))
    assert arrivals[-1] < 100
    assert 4700 < len(arrivals) < 5300
    assert poisson(1e-9, 2.0, random.Random(1)) == [2.0], "a window is never empty"


def test_documents_are_as_said() -> None:
    one, other = same(2, mark="m")
    assert one.text != other.text
    values = [value for found in json.loads(ANSWER).values() for value in found]
    assert all(value in one.text for value in values)
    given = short(50, mark=3)
    assert len(given) == 50
    assert len({document.text for document, _ in given}) == 50
    assert max(len(document.text) for document, _ in given) <= SHORT


def test_a_user_splits_the_schema_as_the_readme_does_or_not_at_all() -> None:
    ref = "news/relations-en@1"
    schema = shelf.find(ref)
    split, whole = (prompts("Ada was born in London.", ref, is_split=is_split) for is_split in (True, False))
    assert (len(split), len(whole)) == (2, 1)
    assert all(each.name in whole[0] for each in schema.types)
    assert not any(all(each.name in prompt for each in schema.types) for prompt in split)
