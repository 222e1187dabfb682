"""Trains a small model from scratch on extraction exercises, within a budget of minutes, resumable at any time."""

import ctypes
import itertools
import math
import platform
import random
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from sluice_worker.engine.encoder import Encoder
from sluice_worker.training import checkpoint, corpus, generator, induction, tokenizer
from sluice_worker.training.checkpoint import Progress
from sluice_worker.training.corpus import GENERATED, Source
from sluice_worker.training.exercise import Examiner, Exercise
from sluice_worker.training.lengths import Fitting, Lengths
from sluice_worker.training.recipe import ModelShape, Recipe
from sluice_worker.training.sequence import Batch, Sequence, collate

log = structlog.get_logger()

GENERATED_DOCUMENTS = 40_000
TOKENIZER_ROWS = 6_000
"""Rows of each source that the tokenizer learns from."""
POOL = 768
"""Exercises drawn, sorted by length and batched at a time."""
JOINED = 0.12
"""Share of the exercises on two rows put together, for texts longer than the data sets have."""
MAX_GRADIENT_NORM = 1.0
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of mallopt(3)."""


def sources(recipe: Recipe, data: Path) -> list[Source]:
    """Every source that the recipe names, read or generated."""
    return [
        corpus.generated(name, seed=recipe.seed, count=GENERATED_DOCUMENTS)
        if name.startswith(GENERATED)
        else corpus.read(data, name)
        for name in recipe.sources
    ]


def exercises(mixture: list[Source], recipe: Recipe, draw: random.Random) -> Iterator[Exercise]:
    """Endless exercises, sources drawn by their weights."""
    examiners = [Examiner(each, generator.inventory(each.rows[0].language).synonyms, draw) for each in mixture]
    rows = [corpus.shuffled(each, draw) for each in mixture]
    weights = [*itertools.accumulate(recipe.sources[each.name] for each in mixture)]
    while True:
        i = draw.choices(range(len(mixture)), cum_weights=weights)[0]
        row = next(rows[i])
        if not row.is_partial and draw.random() < JOINED:
            row = corpus.joined(row, next(rows[i]))
        yield examiners[i].exercise(row)


def batches(drawn: Iterator[Sequence], recipe: Recipe, draw: random.Random) -> Iterator[Batch]:
    """Batches of sequences of like length, at most `batch_tokens` with their padding."""
    while True:
        pool = sorted(itertools.islice(drawn, POOL), key=len)
        groups: list[list[Sequence]] = [[]]
        for sequence in pool:
            if (len(groups[-1]) + 1) * len(sequence) > recipe.batch_tokens:
                groups.append([])
            groups[-1].append(sequence)
        draw.shuffle(groups)
        yield from (collate(group) for group in groups if group)


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


def train(recipe: Recipe, *, data: Path, out: Path) -> Progress:
    """Runs the recipe and writes model, tokenizer and checkpoints to `out`; goes on from a checkpoint found there."""
    _keep_memory()
    draw = random.Random(recipe.seed)
    mixture = sources(recipe, data)
    vocabulary = _tokenizer(mixture, recipe, out)
    model = build(recipe.model, vocabulary, seed=recipe.seed)
    model.set_attn_implementation("eager")  # a tenth faster than sdpa here, whose backward pass on a CPU is slow
    optimizers = _optimizers(model, recipe)
    progress = checkpoint.restore(out, model, optimizers)
    draw.seed(recipe.seed + progress.steps)
    fitting = Fitting(Encoder(vocabulary), Lengths(sequence=recipe.max_tokens, answer=recipe.max_tokens - 1))
    drawn = (fitted for each in exercises(mixture, recipe, draw) if (fitted := fitting.fit(each)))
    _run(model, optimizers, batches(drawn, recipe, draw), recipe, progress, out)
    checkpoint.publish(out, model, vocabulary)
    log.info(fitting.report(), action="train.lengths")
    return progress


def _keep_memory() -> None:
    """Lets glibc keep what it frees instead of asking the kernel for fresh pages at every step.

    Seen once, minutes apart on two busy cores: 1,000 tokens/s without, 3,800 with; other load differed.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**28)):
            mallopt(parameter, value)


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
        torch.optim.Muon(matrices, lr=recipe.muon_lr, weight_decay=0.01),
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
    supply: Iterator[Batch],
    recipe: Recipe,
    progress: Progress,
    out: Path,
) -> None:
    model.train()
    before, budget_s = progress.elapsed_s, recipe.minutes * 60
    started, saved = time.monotonic(), time.monotonic()
    losses: list[float] = []
    for batch in supply:
        progress.elapsed_s = before + time.monotonic() - started
        if progress.elapsed_s >= budget_s:
            break
        losses.append(_step(model, optimizers, batch, max(rate(progress.elapsed_s / budget_s, recipe), 1e-3)))
        progress.steps += 1
        progress.tokens += batch.tokens.numel()
        if progress.steps % 50 == 0:
            _report(progress, losses)
        if time.monotonic() - saved > recipe.checkpoint_minutes * 60:
            checkpoint.save(out, model, optimizers, progress)
            saved = time.monotonic()
    checkpoint.save(out, model, optimizers, progress)


def _step(model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], batch: Batch, factor: float) -> float:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = model.model(input_ids=batch.tokens[:, :-1], use_cache=False).last_hidden_state
        wanted = batch.is_answer[:, 1:]
        logits = functional.linear(states[wanted], model.lm_head.weight)
    loss = functional.cross_entropy(logits.float(), batch.tokens[:, 1:][wanted])
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor if "initial_lr" in group else _remember(group) * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _remember(group: dict[str, float]) -> float:
    return group.setdefault("initial_lr", group["lr"])


def _report(progress: Progress, losses: list[float]) -> None:
    mean = sum(losses) / len(losses)
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
