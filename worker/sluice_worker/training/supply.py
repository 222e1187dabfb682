"""What a training eats: batches of exercises, drawn for ever, by this process or by several beside it."""

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from transformers import PreTrainedTokenizerFast

from sluice_worker.engine.encoder import Encoder
from sluice_worker.training import corpus, generator
from sluice_worker.training.corpus import GENERATED, Source
from sluice_worker.training.exercise import Examiner, Exercise
from sluice_worker.training.lengths import Fitting, Lengths, Tally
from sluice_worker.training.recipe import Recipe
from sluice_worker.training.sequence import Batch, Sequence, collate

SAMPLE = 6_000
"""Documents of the generator that stand for its endless rest, as where the tokenizer learns from them."""
POOL_BATCHES = 24
"""Exercises for so many batches are drawn, sorted by length and cut into batches at a time."""
MEAN_TOKENS = 160
"""Of an exercise, roughly: it sets the pool's size."""
AHEAD = 8
"""Batches that each process beside this one keeps ready."""


def sources(recipe: Recipe, data: Path) -> list[Source]:
    """Every source that the recipe names, read or generated."""
    return [
        corpus.generated(name, seed=recipe.seed, count=SAMPLE)
        if name.startswith(GENERATED)
        else corpus.read(data, name)
        for name in recipe.sources
    ]


def examiner(source: Source, draw: random.Random, *, blind: float = 0.0) -> Examiner:
    """Draws exercises on the rows of a source, under the synonyms of its language."""
    return Examiner(source, generator.inventory(source.rows[0].language).synonyms, draw, blind=blind)


def fitting(vocabulary: PreTrainedTokenizerFast, recipe: Recipe) -> Fitting:
    """Fits exercises to the length that the recipe has."""
    return Fitting(Encoder(vocabulary), Lengths(sequence=recipe.max_tokens, answer=recipe.max_tokens - 1))


def exercises(mixture: list[Source], recipe: Recipe, draw: random.Random) -> Iterator[Exercise]:
    """Endless exercises, sources drawn by their weights."""
    examiners = [examiner(each, draw, blind=recipe.blind) for each in mixture]
    rows = [corpus.endless(each, draw) for each in mixture]
    weights = [*itertools.accumulate(recipe.sources[each.name] for each in mixture)]
    while True:
        i = draw.choices(range(len(mixture)), cum_weights=weights)[0]
        row = next(rows[i])
        while not row.is_partial and draw.random() < recipe.joined:
            row = corpus.joined(row, next(rows[i]))
        yield examiners[i].exercise(row)


def batches(drawn: Iterator[Sequence], recipe: Recipe, draw: random.Random) -> Iterator[Batch]:
    """Batches of sequences of like length, at most `batch_tokens` with their padding."""
    pool_size = POOL_BATCHES * max(1, recipe.batch_tokens // MEAN_TOKENS)
    while True:
        pool = sorted(itertools.islice(drawn, pool_size), key=len)
        groups: list[list[Sequence]] = [[]]
        for sequence in pool:
            if (len(groups[-1]) + 1) * len(sequence) > recipe.batch_tokens:
                groups.append([])
            groups[-1].append(sequence)
        draw.shuffle(groups)
        yield from (collate(group) for group in groups if group)


class Supply(IterableDataset[tuple[Batch, Tally]]):
    """Batches for ever, each with what was kept and left out since the last. Another seed for each process.

    `begin` is the step at which the run goes on: the same seed and beginning give the same batches.
    """

    def __init__(
        self, mixture: list[Source], vocabulary: PreTrainedTokenizerFast, recipe: Recipe, *, begin: int
    ) -> None:
        self._mixture = mixture
        self._vocabulary = vocabulary
        self._recipe = recipe
        self._begin = begin

    def __iter__(self) -> Iterator[tuple[Batch, Tally]]:
        worker = get_worker_info()
        if worker:  # its own Rust threads would fight with those of the others for the same cores
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
        draw = random.Random(f"{self._recipe.seed}:{self._begin}:{worker.id if worker else 0}")
        fit = fitting(self._vocabulary, self._recipe)
        fitted = (found for each in exercises(self._mixture, self._recipe, draw) if (found := fit.fit(each)))
        for batch in batches(fitted, self._recipe, draw):
            yield batch, fit.tally
            fit.tally = Tally()

    def load(self, *, processes: int, pin: bool) -> Iterator[tuple[Batch, Tally]]:
        """Iterates in `processes` others, or in this one where that is 0. `pin` readies the batches for a GPU."""
        loader: DataLoader[tuple[Batch, Tally]] = DataLoader(
            self,
            batch_size=None,
            num_workers=processes,
            prefetch_factor=AHEAD if processes else None,
            pin_memory=pin,
        )
        return iter(loader)
