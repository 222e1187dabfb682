"""A real LLaMA of two layers, untrained but able to copy, saved as a model folder: made in seconds."""

from pathlib import Path

import torch

from sluice_worker.training import checkpoint, generator, scratch, tokenizer
from sluice_worker.training.recipe import ModelShape

SHAPE = ModelShape(
    vocabulary=1500,
    hidden_size=192,
    layers=2,
    heads=3,
    intermediate_size=256,
    rope_theta=1_000_000.0,
    context=1024,
    chunk_tokens=200,
    answer_tokens=24,
    decoding="free",
)


def make(folder: Path) -> Path:
    """Writes tokenizer, config and weights; the path of the model folder."""
    torch.set_num_threads(1)
    texts = [each["text"] for language in ("en", "zh") for each in generator.generate(language, seed=1, count=200)]
    vocabulary = tokenizer.train(texts, vocabulary=SHAPE.vocabulary)
    checkpoint.publish(folder, scratch.build(SHAPE, vocabulary, seed=3), vocabulary)
    return folder / "model"
