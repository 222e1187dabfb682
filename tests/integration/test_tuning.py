"""Tuning a small LLaMA in real processes: it learns, is served, and survives what ends processes and fills disks."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
import tiny_llama
import yaml
from click.testing import CliRunner
from tuning_stage import SETTINGS, STEPS, Site, run, write_records

from sluice_schemas.errors import Conflict, Lost, Misconfigured, Retryable
from sluice_worker.commands.tune import tune
from sluice_worker.engine import adapters
from sluice_worker.engine.request import Request
from sluice_worker.engine.transformers_engine import TransformersEngine
from sluice_worker.protocol.grammar import grammar
from sluice_worker.protocol.instruction import build
from sluice_worker.protocol.prompt import render
from sluice_worker.training import launch, tuning_checkpoints, tuning_progress
from sluice_worker.training.tuning_progress import Progress, Tuned

PARENT = """
import sys, threading
from pathlib import Path
from sluice_worker.training import launch
from sluice_worker.training.tuning_plan import TuningPlan
plan = TuningPlan.model_validate_json(Path(sys.argv[1]).read_bytes())
launch.run(plan, on_progress=lambda at: print(at.step, flush=True), gone=threading.Event())
"""
TEXT = "Dr. Emma Fischer joined Northwind Systems in Lisbon on Monday."


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    base = tiny_llama.make(tmp_path_factory.mktemp("base"))
    return Site(base, write_records(tmp_path_factory.mktemp("records")))


@pytest.fixture(scope="module")
def tuned(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """A LoRA that nothing interrupted."""
    return run(site.plan(tmp_path_factory.mktemp("tuned")))


def answer(engine: TransformersEngine, adapter: str | None) -> str:
    asked = render(build("NER", "en", ["person", "organization"], TEXT))
    held = grammar("NER", ["person", "organization"], TEXT, level="json")
    return engine.submit(Request(asked, 24, held, adapter=adapter)).result(timeout=60).text


# What it leaves


def test_it_learns_and_tells_how_far_it_is(tuned: Tuned, site: Site) -> None:
    assert tuned.steps == STEPS
    assert [step for step, _ in tuned.losses] == [*range(1, STEPS + 1)]
    assert [step for step, _ in tuned.dev_losses] == [*range(4, STEPS + 1, 4)]
    assert tuned.dev_losses[-1][1] < 0.9 * tuned.dev_losses[0][1]
    assert tuned.tally == {"kept": 150, "shortened": 0, "dropped": {}}
    assert tuned.tokens > STEPS * 16 * 50
    assert tuned.tokens_per_s > 0
    assert tuned.peak_bytes > 1 << 26


def test_the_adapter_is_what_is_served_and_nothing_else(tuned: Tuned, site: Site) -> None:
    assert {path.name for path in tuned.folder.iterdir()} == {adapters.WEIGHTS, adapters.CONFIG}
    assert adapters.check(tuned.folder, max_rank=8) == tuned.digest
    config = orjson.loads((tuned.folder / adapters.CONFIG).read_bytes())
    assert config["base_model_name_or_path"].startswith("model@")
    assert str(site.base.parent) not in (tuned.folder / adapters.CONFIG).read_text()
    assert not (tuned.folder.parent / tuning_checkpoints.FOLDER).exists(), "the pickles of the optimizer went"


def test_the_adapter_changes_what_the_serving_engine_says(tuned: Tuned, site: Site) -> None:
    engine = TransformersEngine(site.base, device="cpu")
    before = answer(engine, None)
    assert answer(engine, engine.load_adapter(tuned.folder)) != before
    assert answer(engine, None) == before
    engine.close()


def test_what_is_done_is_not_done_again(tuned: Tuned, site: Site) -> None:
    begun = time.monotonic()
    assert run(site.plan(tuned.folder.parent)) == tuned
    assert time.monotonic() - begun < 2.0, "no process was started"
    with pytest.raises(Conflict, match="other settings"):
        run(site.plan(tuned.folder.parent, rank=4))


def test_a_result_that_was_changed_is_not_taken(tuned: Tuned, site: Site) -> None:
    config = tuned.folder / adapters.CONFIG
    content = config.read_bytes()
    config.write_bytes(content + b" ")
    with pytest.raises(Misconfigured, match="has changed since"):
        run(site.plan(tuned.folder.parent))
    config.write_bytes(content)


# The command


def command(site: Site, out: Path, preset: Path) -> list[str]:
    preset.write_text(yaml.safe_dump(SETTINGS))
    files = ["--records", str(site.records), "--dev-records", str(site.records.with_name("dev.jsonl"))]
    return ["--preset", str(preset), "--base", str(site.base), "--out", str(out), *files]


def test_the_command_tells_what_was_made(tuned: Tuned, site: Site, tmp_path: Path) -> None:
    given = command(site, tuned.folder.parent, tmp_path / "own.yaml")
    told = CliRunner().invoke(tune, given)
    assert told.exit_code == 0, told.output
    assert f"{STEPS} steps, {tuned.tokens} tokens" in told.output
    assert f"150 records, 0 of them shortened; none left out. {tuned.digest} is in" in told.output
    refused = CliRunner().invoke(tune, [*given, "--dtype", "fp16"])
    assert isinstance(refused.exception, Misconfigured)
    assert isinstance(CliRunner().invoke(tune, [*given, "--rank", "4"]).exception, Conflict)


def test_ctrl_c_ends_the_command_and_what_it_started(site: Site, tmp_path: Path) -> None:
    call = [sys.executable, "-c", "from sluice_worker.commands.tune import tune; tune()"]
    given = command(site, tmp_path / "out", tmp_path / "own.yaml")
    with subprocess.Popen([*call, *given], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        family: list[psutil.Process] = []
        while not family:
            assert started.poll() is None
            family = psutil.Process(started.pid).children(recursive=True)
            time.sleep(0.05)
        started.send_signal(signal.SIGINT)
        assert started.wait(timeout=30) == 1
    assert psutil.wait_procs(family, timeout=20)[1] == []


# What ends it


@contextmanager
def file_limit(size_bytes: int) -> Iterator[None]:
    """What processes started within may write into one file: the disk full, for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def children() -> list[psutil.Process]:
    """The processes of tunings below this one; servers of other tests may be there too."""
    return [each for each in psutil.Process().children(recursive=True) if launch.MODULE in commanded(each)]


def commanded(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # also where nobody has asked how it ended
        return []


def kill_at(step: int) -> Callable[[Progress], None]:
    def kill(at: Progress) -> None:
        if at.step >= step:
            for each in children():
                each.kill()

    return kill


@pytest.mark.timeout(300)
def test_a_full_disk_and_a_kill_leave_the_same_adapter_in_the_end(tuned: Tuned, site: Site, tmp_path: Path) -> None:
    wanted = site.plan(tmp_path)
    with file_limit(300_000), pytest.raises(Retryable, match=r"could not write.*goes on from its last checkpoint"):
        run(wanted)
    assert not (tmp_path / "adapter").exists()

    with pytest.raises(Retryable, match="killed by SIGKILL"):
        run(wanted, kill_at(6))
    _, killed_at = tuning_checkpoints.last_whole(tmp_path)
    assert 4 <= killed_at < STEPS

    seen: list[int] = []
    done = run(wanted, lambda at: seen.append(at.step))
    assert seen[0] == killed_at + 1, "it went on where the last whole checkpoint was"
    assert done.losses == tuned.losses, "bit by bit: seeds, optimizer and dropout came back"
    assert done.dev_losses == tuned.dev_losses
    assert done.digest == tuned.digest


def test_a_stop_ends_every_process(site: Site, tmp_path: Path) -> None:
    gone = threading.Event()
    gone.set()
    with pytest.raises(Lost, match="goes on from its last checkpoint"):
        launch.run(site.plan(tmp_path, processes=2), on_progress=lambda _: None, gone=gone)
    assert children() == []


def test_a_checkpoint_that_is_not_whole_does_not_count(tmp_path: Path) -> None:
    for step in (4, 12, 8):
        folder = tmp_path / tuning_checkpoints.FOLDER / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "optimizer.pt").write_bytes(b"cut off")
        if step != 12:
            tuning_checkpoints.mark(tmp_path, step)
    assert tuning_checkpoints.clean(tmp_path) == 8
    assert not (tmp_path / tuning_checkpoints.FOLDER / "checkpoint-12").exists()
    (tmp_path / tuning_progress.FILE).write_bytes(b"".join(Progress(s, 12).line for s in range(6, 11)) + b'{"st')
    tuning_progress.forget_after(tmp_path, 8)
    assert [each.step for each in tuning_progress.read(tmp_path)] == [6, 7, 8]


@pytest.mark.timeout(300)
def test_two_processes_learn_what_one_does_and_die_with_their_parent(tuned: Tuned, site: Site, tmp_path: Path) -> None:
    """Both go on from an adapter, without dropout, which is drawn in each process by itself."""
    settings: dict[str, Any] = {"dropout": 0.0, "max_steps": 12, "checkpoint_steps": 3, "dtype": "float32"}
    alone = run(site.plan(tmp_path / "alone", start_from=tuned.folder, **settings))
    assert alone.losses[0][1] < 0.95 * tuned.losses[0][1], "it did not begin at the base model"
    wanted = site.plan(tmp_path / "pair", start_from=tuned.folder, processes=2, **settings)
    (tmp_path / "plan.json").write_text(wanted.model_dump_json())
    command = [sys.executable, "-c", PARENT, str(tmp_path / "plan.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline(), "no step was made"
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) >= 3, "torchrun and its two"
        with pytest.raises(Retryable, match="Another process still tunes"):
            run(wanted)
        os.kill(parent.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    assert Tuned.read(wanted.out) is None, "nobody went on without the parent"
    pair = run(wanted)
    assert [step for step, _ in pair.losses] == [step for step, _ in alone.losses]
    assert dict(pair.losses) == pytest.approx(dict(alone.losses), abs=1e-4)
    assert dict(pair.dev_losses) == pytest.approx(dict(alone.dev_losses), abs=1e-4)


# Other methods


def test_qlora_learns_on_a_quantised_base_and_is_served_on_it(site: Site, tmp_path: Path) -> None:
    done = run(site.plan(tmp_path, method="qlora", max_steps=8, recompute=True))
    assert done.losses[-1][1] < done.losses[0][1]
    engine = TransformersEngine(site.base, device="cpu", quantization="nf4")
    assert answer(engine, engine.load_adapter(done.folder)) != answer(engine, None)
    engine.close()


def test_full_tuning_leaves_a_model_that_serves(site: Site, tmp_path: Path) -> None:
    done = run(site.plan(tmp_path, method="full", max_steps=8, learning_rate=0.001))
    assert done.losses[-1][1] < done.losses[0][1]
    files = {path.name for path in done.folder.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".md"))]
    ours = orjson.loads((done.folder / "config.json").read_bytes())
    theirs = orjson.loads((site.base / "config.json").read_bytes())
    assert ours["sluice"] == theirs["sluice"]
    assert ours["dtype"] == theirs["dtype"]
    old, new = TransformersEngine(site.base, device="cpu"), TransformersEngine(done.folder, device="cpu")
    assert new.card.answer_tokens == old.card.answer_tokens
    assert answer(new, None) != answer(old, None)
    old.close()
    new.close()


# What is refused


def test_what_cannot_be_tuned_is_refused_with_the_reason(tuned: Tuned, site: Site, tmp_path: Path) -> None:
    other = tiny_llama.make(tmp_path / "other")
    (other / "tokenizer.json").write_bytes((other / "tokenizer.json").read_bytes() + b"\n")
    wanted = site.plan(tmp_path / "out", start_from=tuned.folder)
    with pytest.raises(Misconfigured, match=r"was made for model@.*Start from the base model"):
        run(wanted.model_copy(update={"base": other}))
    with pytest.raises(Misconfigured, match="has rank 8, the settings say 4"):
        run(site.plan(tmp_path / "rank", start_from=tuned.folder, rank=4))
    with pytest.raises(Misconfigured, match=r"no config\.json"):
        run(wanted.model_copy(update={"base": tmp_path}))
    with pytest.raises(Misconfigured, match="There are no records"):
        run(wanted.model_copy(update={"records": tmp_path / "none.jsonl"}))
    with pytest.raises(Misconfigured, match="150 left out"):
        run(site.plan(tmp_path / "short", answer_tokens=2, sequence_tokens=3))
