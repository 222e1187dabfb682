"""Trains a small model from scratch on extraction exercises, within a budget of minutes, resumable at any time."""

import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from sluice_worker.engine import cpu
from sluice_worker.engine.device import number_format
from sluice_worker.training import checkpoint, generator, held_out, induction, supply, tokenizer
from sluice_worker.training.checkpoint import Progress
from sluice_worker.training.corpus import Source
from sluice_worker.training.lengths import Tally
from sluice_worker.training.loss import last_states, mean_loss
from sluice_worker.training.muon import Muon
from sluice_worker.training.recipe import ModelShape, Recipe
from sluice_worker.training.sequence import Batch
from sluice_worker.training.supply import Supply

log = structlog.get_logger()

TOKENIZER_ROWS = 6_000
"""Rows of each source that the tokenizer learns from."""
MAX_GRADIENT_NORM = 1.0
REPORT_EVERY = 50


def build(shape: ModelShape, vocabulary: PreTrainedTokenizerBase, *, seed: int) -> LlamaForCausalLM:
    """A LLaMA with tied embeddings that can already copy."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=shape.context,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        tie_word_embeddings=True,
        bos_token_id=vocabulary.bos_token_id,
        eos_token_id=vocabulary.eos_token_id,
        pad_token_id=vocabulary.pad_token_id,
        dtype=torch.float32,
        sluice={
            "chunk_tokens": shape.chunk_tokens,
            "answer_tokens": shape.answer_tokens,
            "decoding": shape.decoding,
        },
    )
    model = LlamaForCausalLM(config)
    induction.start(model, seed=seed)
    return model


def train(recipe: Recipe, *, data: Path, out: Path, device: str = "cpu", processes: int = 0) -> Progress:
    """Runs the recipe and writes model, tokenizer and checkpoints to `out`; goes on from a checkpoint found there.

    `processes` beside this one draw the exercises: one is enough for two cores, a GPU takes what twelve can give.
    """
    cpu.keep_memory()
    mixture = supply.sources(recipe, data)
    vocabulary = _tokenizer(mixture, recipe, out)
    model = build(recipe.model, vocabulary, seed=recipe.seed).to(device)
    # On a CPU a tenth faster than sdpa, whose backward pass is slow there.
    model.set_attn_implementation("eager" if device == "cpu" else "sdpa")
    if recipe.compile:
        for layer in model.model.layers:  # one by one: they share what is compiled for the first
            layer.compile(dynamic=True)
    optimizers = _optimizers(model, recipe)
    watched = held_out.read(data, vocabulary, recipe)
    progress = checkpoint.restore(out, model, optimizers)
    batches = Supply(mixture, vocabulary, recipe, begin=progress.steps).load(processes=processes, pin=device != "cpu")
    tally = _run(model, optimizers, batches, recipe, progress, out)
    log.info(tally.report(), action="train.lengths")
    losses = held_out.losses(model, watched)
    log.info("The mean loss of an answer's token on rows not trained on.", action="train.held_out", **losses)
    checkpoint.publish(out, model, vocabulary)
    return progress


def _tokenizer(mixture: list[Source], recipe: Recipe, out: Path) -> PreTrainedTokenizerBase:
    if (out / "tokenizer.json").is_file():
        return checkpoint.load_tokenizer(out)
    rows = (row for source in mixture for row in source.rows[:TOKENIZER_ROWS])
    labels = (label for source in mixture for found in source.labels.values() for label in found)
    names = (
        name for language in ("en", "zh") for found in generator.inventory(language).synonyms.values() for name in found
    )
    trained = tokenizer.train(
        itertools.chain((row.text for row in rows), labels, names), vocabulary=recipe.model.vocabulary
    )
    trained.save_pretrained(out)
    return trained


def _optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms (Jordan et al. 2024, "Muon")."""
    matrices = [each for each in model.model.layers.parameters() if each.ndim == 2]
    taken = {id(each) for each in matrices}
    others = [each for each in model.parameters() if id(each) not in taken]
    return [
        Muon(matrices, lr=recipe.muon_lr, weight_decay=0.01),
        torch.optim.AdamW(others, lr=recipe.adamw_lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate(done: float, recipe: Recipe) -> float:
    """The factor on the learning rates when the share `done` of the run is over: up, level, linearly down."""
    if done < recipe.warmup:
        return done / recipe.warmup
    return min(1.0, (1.0 - done) / recipe.decay) if recipe.decay else 1.0


def _run(
    model: LlamaForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    given: Iterator[tuple[Batch, Tally]],
    recipe: Recipe,
    progress: Progress,
    out: Path,
) -> Tally:
    model.train()
    before, budget_s = progress.elapsed_s, recipe.minutes * 60
    started, saved = time.monotonic(), time.monotonic()
    losses: list[torch.Tensor] = []
    tally = Tally()
    for batch, counted in given:
        progress.elapsed_s = before + time.monotonic() - started
        if progress.elapsed_s >= budget_s:
            break
        tally.add(counted)
        factor = max(rate(progress.elapsed_s / budget_s, recipe), 1e-3)
        losses.append(_step(model, optimizers, batch, recipe, factor))
        progress.steps += 1
        progress.tokens += batch.tokens.numel()
        if progress.steps % REPORT_EVERY == 0:
            _report(progress, losses)
        if time.monotonic() - saved > recipe.checkpoint_minutes * 60:
            checkpoint.save(out, model, optimizers, progress)
            saved = time.monotonic()
    checkpoint.save(out, model, optimizers, progress)
    return tally


def _step(
    model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], batch: Batch, recipe: Recipe, factor: float
) -> torch.Tensor:
    """The loss of the answers, left on the device: to read it would be to wait for it."""
    batch = batch.to(str(model.device))
    kind = model.device.type
    with torch.autocast(kind, dtype=torch.bfloat16, enabled=number_format(kind) == "bfloat16"):
        states = last_states(model, batch)
        answers = mean_loss(model, states, batch, batch.answers)
        prompts = mean_loss(model, states, batch, batch.prompts) if recipe.prompt_loss else 0.0
    (answers + recipe.prompt_loss * prompts).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor if "initial_lr" in group else _remember(group) * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return answers.detach()


def _remember(group: dict[str, float]) -> float:
    return group.setdefault("initial_lr", group["lr"])


def _report(progress: Progress, losses: list[torch.Tensor]) -> None:
    mean = torch.stack(losses).mean().item()
    losses.clear()
    if not math.isfinite(mean):
        log.warning(
            "The loss is not a number; lower the learning rates.", action="train.diverged", steps=progress.steps
        )
    log.info(
        "Training goes on.",
        action="train.progress",
        steps=progress.steps,
        minutes=round(progress.elapsed_s / 60, 1),
        tokens_per_s=round(progress.tokens / progress.elapsed_s),
        loss=round(mean, 4),
    )
