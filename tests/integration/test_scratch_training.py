"""Training from scratch on a recipe of seconds: it learns, survives a kill, and leaves a model that loads."""

import gzip
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import tiny_llama
import torch
import yaml
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

from sluice_worker.engine.encoder import Encoder
from sluice_worker.engine.request import Request
from sluice_worker.engine.transformers_engine import TransformersEngine
from sluice_worker.protocol.grammar import grammar
from sluice_worker.protocol.instruction import build
from sluice_worker.protocol.prompt import render
from sluice_worker.training import checkpoint, corpus, generator, scratch, supply
from sluice_worker.training import recipe as recipes
from sluice_worker.training.lengths import Fitting, Lengths
from sluice_worker.training.loss import last_states, mean_loss
from sluice_worker.training.recipe import Recipe
from sluice_worker.training.sequence import Batch, collate

RECIPE = {
    "seed": 7,
    "minutes": 10.0,
    "batch_tokens": 1500,
    "max_tokens": 500,
    "muon_lr": 0.01,
    "adamw_lr": 0.002,
    "warmup": 0.05,
    "decay": 0.4,
    "checkpoint_minutes": 0.02,
    "joined": 0.1,
    "blind": 0.2,
    "prompt_loss": 0.1,
    "compile": False,
    "model": tiny_llama.SHAPE.model_dump() | {"vocabulary": 1000},
    "sources": {"made_en": 2, "made_zh": 1},
}
FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Run:
    """A run that was killed once and then went on to its end."""

    out: Path
    data: Path
    killed_at: checkpoint.Progress
    ended_at: checkpoint.Progress
    output: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("training")
    _write_sources(folder)
    (folder / "micro.yaml").write_text(yaml.safe_dump(RECIPE))
    out = folder / "out"
    started = _start(folder, out)
    _await(out / FILE, started)
    started.kill()
    started.communicate()
    killed_at = _progress(out)
    again = _start(folder, out, "--minutes", str((killed_at.elapsed_s + 8) / 60), "--processes", "1")
    output, _ = again.communicate(timeout=100)
    assert again.returncode == 0, output
    return Run(out, folder, killed_at, _progress(out), output)


def _write_sources(folder: Path) -> None:
    dev = [*generator.generate("en", seed=9, count=20)]
    (folder / "made_en.dev.jsonl").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in dev))
    long = {**dev[0], "text": f"{'On and on it went ' * 400}{dev[0]['text']}"}
    (folder / "made_long.dev.jsonl").write_bytes(orjson.dumps(long) + b"\n")
    for language in ("en", "zh"):
        with gzip.open(folder / f"made_{language}.train.jsonl.gz", "wb") as file:
            for each in generator.generate(language, seed=1, count=300):
                file.write(orjson.dumps(each) + b"\n")


def test_held_out_rows_are_watched_set_by_set(run: Run) -> None:
    assert re.search(r"action=train\.held_out made_en=\d", run.output)
    assert "made_long" not in run.output, "nothing of that set fits"


def _start(folder: Path, out: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "sluice_producer", "train", "--recipe", str(folder / "micro.yaml")]
    return subprocess.Popen(
        [*command, "--data", str(folder), "--out", str(out), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _await(path: Path, process: "subprocess.Popen[str]") -> None:
    for _ in range(900):
        if path.is_file():
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    process.kill()
    pytest.fail("no checkpoint in 90 s")


def _progress(out: Path) -> checkpoint.Progress:
    with safe_open(out / FILE, framework="pt") as saved:
        return checkpoint.Progress(**orjson.loads(saved.metadata()["progress"]))


def test_a_killed_run_goes_on_with_its_steps(run: Run) -> None:
    assert run.killed_at.steps > 0
    assert run.ended_at.steps > run.killed_at.steps
    assert run.ended_at.tokens > run.killed_at.tokens
    assert run.ended_at.elapsed_s >= run.killed_at.elapsed_s + 8
    assert f"{run.ended_at.steps} steps" in run.output


def test_neither_checkpoint_nor_model_holds_a_pickle(run: Run) -> None:
    files = [path for path in run.out.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jinja", ".md"}
    for path in files:
        head = path.read_bytes()[:4]
        assert head[:2] != b"PK", f"{path} is a zip, as torch.save writes"
        if path.suffix == ".safetensors":  # begins with the length of its header, which may begin as a pickle does
            with safe_open(path, framework="pt") as saved:
                assert [*saved.keys()]
        else:
            assert head[:1] != b"\x80", f"{path} is a pickle"


def test_the_model_that_it_leaves_serves(run: Run) -> None:
    engine = TransformersEngine(run.out / "model", device="cpu")
    # Held to its form: what a model says freely after seconds of training may be nothing at all.
    held = grammar("NER", ["person"], "Bob left.", level="json")
    request = Request(render(build("NER", "en", ["person"], "Bob left.")), 8, held)
    assert engine.submit(request).result(timeout=60).completion_tokens > 0
    assert (engine.card.chunk_tokens, engine.card.answer_tokens) == (200, 24)
    engine.close()


def test_training_lowered_the_loss(run: Run) -> None:
    recipe = Recipe.model_validate(RECIPE)
    vocabulary = checkpoint.load_tokenizer(run.out)
    held_out = [corpus.generated(f"generated.{language}", seed=99, count=20) for language in ("en", "zh")]
    batch = _batch(recipe, held_out, run.out)
    before = _loss(scratch.build(recipe.model, vocabulary, seed=recipe.seed), batch)
    after = _loss(LlamaForCausalLM.from_pretrained(run.out / "model", dtype=torch.float32), batch)
    assert after < 0.85 * before


def _batch(recipe: Recipe, sources: list[corpus.Source], out: Path) -> Batch:
    vocabulary = checkpoint.load_tokenizer(out)
    mixed = recipe.model_copy(update={"sources": dict.fromkeys((each.name for each in sources), 1.0)})
    drawn = supply.exercises(sources, mixed, random.Random(5))
    fitting = Fitting(Encoder(vocabulary), Lengths())
    fitted = (sequence for each in drawn if (sequence := fitting.fit(each)))
    return collate([next(fitted) for _ in range(16)])


@torch.inference_mode()
def _loss(model: LlamaForCausalLM, batch: Batch) -> float:
    return float(mean_loss(model.eval(), last_states(model, batch), batch, batch.answers))


def test_restoring_brings_back_weights_and_optimizers(run: Run) -> None:
    recipe = Recipe.model_validate(RECIPE)
    vocabulary = checkpoint.load_tokenizer(run.out)
    model = scratch.build(recipe.model, vocabulary, seed=recipe.seed)
    optimizers = scratch._optimizers(model, recipe)
    restored = checkpoint.restore(run.out, model, optimizers)
    assert restored.steps == run.ended_at.steps
    with safe_open(run.out / FILE, framework="pt") as saved:
        for name, tensor in model.named_parameters():
            assert torch.equal(tensor, saved.get_tensor(f"model.{name}")), name
    assert model.lm_head.weight is model.model.embed_tokens.weight
    for optimizer in optimizers:
        count = sum(len(group["params"]) for group in optimizer.param_groups)
        assert len(optimizer.state_dict()["state"]) == count
    assert [group["lr"] for each in optimizers for group in each.param_groups] == [recipe.muon_lr, recipe.adamw_lr]


def _repeats(model: LlamaForCausalLM, tokens: SequenceOf[int]) -> float:
    """The share of the second half that the model says rightly, when the first half stands twice."""
    twice = torch.tensor([[*tokens, *tokens]])
    with torch.inference_mode():
        said = model.eval()(input_ids=twice).logits[0].argmax(-1)
    half = len(tokens)
    return float((said[half + 1 : -1] == twice[0, half + 2 :]).float().mean())


SHAPES = {"two layers": tiny_llama.SHAPE, **{name: recipes.load(name).model for name in ("tiny", "tiny-gpu")}}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_fresh_model_repeats_what_it_has_seen(run: Run, shape: recipes.ModelShape) -> None:
    vocabulary = checkpoint.load_tokenizer(run.out)
    tokens = torch.randint(3, len(vocabulary), (120,), generator=torch.Generator().manual_seed(4)).tolist()
    model = scratch.build(shape, vocabulary, seed=1)
    assert _repeats(model, tokens) > 0.95
    torch.manual_seed(1)
    assert _repeats(LlamaForCausalLM(LlamaConfig.from_dict(model.config.to_dict())), tokens) < 0.1
