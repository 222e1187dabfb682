"""The model that ships is the one that its card tells of, and scores what the card says."""

import re
from pathlib import Path

import pytest

from sluice_schemas import shelf
from sluice_worker.engine import load, model_folder
from sluice_worker.evaluation import serve
from sluice_worker.settings import Settings
from sluice_worker.training import corpus

NEWS = Path(__file__).parents[1] / "news"
FOLDER = model_folder.resolve("sluice-tiny")
CARD = (FOLDER / "README.md").read_text(encoding="utf-8")
TOLERANCE = 0.02
"""Near ties turn with the number format and with what shares a batch."""


def test_the_card_names_these_weights_and_they_are_small_enough_to_ship() -> None:
    assert f"`sluice-tiny@{model_folder.digest(FOLDER)}`" in CARD
    assert (FOLDER / "model.safetensors").stat().st_size < 40e6


@pytest.mark.timeout(300)
def test_news_texts_score_what_the_card_says() -> None:
    settings = Settings.read()
    engine = load.load(settings)
    limits = load.limits(settings, engine.card)
    told = re.search(r"\| `tests/news`.*\| en \| 40 \| (0\.\d+) \|\n\| \| zh \| 40 \| (0\.\d+) \|", CARD)
    assert told
    for language, said in zip(("en", "zh"), told.groups(), strict=True):
        source = corpus.read(NEWS, f"news_{language}", split="dev")
        cases = serve.cases(source.rows, shelf.find(f"news/entities-{language}@1"))
        found = serve.score(engine, cases, limits=limits)
        assert (found.failed, found.unparsed) == (0, 0)
        assert found.tallies["fact"].f1 == pytest.approx(float(said), abs=TOLERANCE), language
    engine.close()
