"""What a training eats: batches that say which tokens count, and text that does not run out."""

import random
from itertools import islice

import pytest
import torch
import yaml
from transformers import PreTrainedTokenizerFast

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine.device import number_format
from sluice_worker.engine.model_folder import SHIPPED
from sluice_worker.training import corpus, recipe
from sluice_worker.training.exercise import Examiner
from sluice_worker.training.lengths import Tally
from sluice_worker.training.recipe import Recipe
from sluice_worker.training.sequence import IGNORED, Batch, Sequence, collate
from sluice_worker.training.supply import Supply

VOCABULARY = PreTrainedTokenizerFast.from_pretrained(SHIPPED / "sluice-tiny")


@pytest.fixture(scope="module")
def source() -> corpus.Source:
    return corpus.generated("generated.en", seed=5, count=40)


@pytest.fixture(scope="module")
def settings() -> Recipe:
    fields = yaml.safe_load((recipe.RECIPES / "tiny.yaml").read_text(encoding="utf-8"))
    return Recipe.model_validate(fields | {"batch_tokens": 2000, "sources": {"generated.en": 1.0}})


def test_a_batch_says_which_predictions_are_of_answers_and_which_of_prompts() -> None:
    given = [Sequence((1, 5, 6, 7, 2), 3), Sequence((1, 8, 2), 2)]
    batch = collate(given)
    assert batch.wanted[batch.answers].tolist() == [7, 2, 2]
    assert batch.wanted[batch.prompts].tolist() == [5, 6, 8]
    labels = [label for each in given for label in each.labels if label != IGNORED]
    assert batch.wanted[batch.answers].tolist() == labels


def test_a_generated_source_never_repeats_itself(source: corpus.Source) -> None:
    drawn = [row.text for row in islice(corpus.endless(source, random.Random(1)), 3 * len(source.rows))]
    assert len(set(drawn)) > 0.98 * len(drawn)
    assert len(set(drawn) - {row.text for row in source.rows}) > 0.9 * len(drawn)


def test_a_set_comes_whole_before_it_comes_again(source: corpus.Source) -> None:
    named = corpus.of("made", source.rows)
    drawn = [*islice(corpus.endless(named, random.Random(1)), 2 * len(named.rows))]
    for half in (drawn[: len(named.rows)], drawn[len(named.rows) :]):
        assert sorted(row.text for row in half) == sorted(row.text for row in named.rows)


def test_blind_exercises_ask_for_what_may_not_be_there(source: corpus.Source) -> None:
    def empty(blind: float) -> int:
        examiner = Examiner(source, {}, random.Random(2), blind=blind)
        return sum(examiner.exercise(row).answer.count(": []") for row in source.rows for _ in range(5))

    assert empty(1.0) > 1.3 * empty(0.0)


def drawn(source: corpus.Source, settings: Recipe, *, begin: int) -> list[tuple[Batch, Tally]]:
    return [*islice(Supply([source], VOCABULARY, settings, begin=begin), 6)]


def test_the_same_beginning_gives_the_same_batches(source: corpus.Source, settings: Recipe) -> None:
    first, again, later = (drawn(source, settings, begin=begin) for begin in (0, 0, 10))
    assert all(torch.equal(a.tokens, b.tokens) for (a, _), (b, _) in zip(first, again, strict=True))
    assert any(
        a.tokens.shape != b.tokens.shape or not torch.equal(a.tokens, b.tokens)
        for (a, _), (b, _) in zip(first, later, strict=True)
    )


def test_every_exercise_is_counted_once(source: corpus.Source, settings: Recipe) -> None:
    total = Tally()
    for _, tally in drawn(source, settings, begin=0):
        total.add(tally)
    # They are drawn a pool at a time: what is counted is more than what six batches hold, and the same pool once.
    assert total.kept == 24 * (2000 // 160)


@pytest.mark.parametrize("wanted", ["bfloat16", "float32"])
def test_a_number_format_that_was_chosen_stays(wanted: str) -> None:
    assert number_format("cpu", wanted) == number_format("cuda", wanted) == wanted


def test_a_gpu_calculates_in_bfloat16_and_float16_is_refused() -> None:
    assert number_format("cuda") == "bfloat16"
    with pytest.raises(Misconfigured, match="float16 is refused"):
        number_format("cuda", "float16")
