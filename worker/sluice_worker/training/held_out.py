"""What a training is watched by: the loss of answers about rows that it never sees."""

import random
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from sluice_worker.training import corpus, supply
from sluice_worker.training.loss import last_states, mean_loss
from sluice_worker.training.recipe import Recipe
from sluice_worker.training.sequence import Batch, collate

ROWS = 64
"""Of each set, from its start."""
BATCH_ROWS = 16
SPLIT = "dev"


def read(data: Path, vocabulary: PreTrainedTokenizerFast, recipe: Recipe) -> dict[str, list[Batch]]:
    """One exercise on each of the first rows of every dev set in `data`, whether the recipe trains on that set or not.

    The same for every run of one tokenizer. A set of which nothing fits is left out.
    """
    found = {name: _batches(data, name, vocabulary, recipe) for name in corpus.names(data, split=SPLIT)}
    return {name: batches for name, batches in found.items() if batches}


def _batches(data: Path, name: str, vocabulary: PreTrainedTokenizerFast, recipe: Recipe) -> list[Batch]:
    source = corpus.read(data, name, split=SPLIT)
    examiner, fitting = supply.examiner(source, random.Random(name)), supply.fitting(vocabulary, recipe)
    fitted = sorted((fit for row in source.rows[:ROWS] if (fit := fitting.fit(examiner.exercise(row)))), key=len)
    return [collate(fitted[i : i + BATCH_ROWS]) for i in range(0, len(fitted), BATCH_ROWS)]


@torch.inference_mode()
def losses(model: LlamaForCausalLM, sets: dict[str, list[Batch]]) -> dict[str, float]:
    """The mean loss of an answer's token, set by set."""
    model.eval()
    found: dict[str, float] = {}
    for name, batches in sets.items():
        total = count = 0.0
        for batch in (each.to(str(model.device)) for each in batches):
            total += float(mean_loss(model, last_states(model, batch), batch, batch.answers)) * len(batch.answers)
            count += len(batch.answers)
        found[name] = round(total / count, 4)
    return found
