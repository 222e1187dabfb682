"""A recipe says everything a run depends on, and a slip in it is told with the file and the field."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_schemas.errors import Misconfigured
from sluice_worker.training import corpus, recipe


@pytest.fixture
def fields() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((recipe.RECIPES / "tiny.yaml").read_text(encoding="utf-8"))
    return parsed


def write(folder: Path, content: object) -> str:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("path", sorted(recipe.RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_ships_is_valid_and_its_lengths_fit(path: Path) -> None:
    shipped = recipe.load(path.stem)
    shape = shipped.model
    assert shape.hidden_size % shape.heads == 0
    assert shape.hidden_size // shape.heads % 2 == 0, "rotary positions need pairs"
    assert shipped.max_tokens <= shape.context
    assert shape.chunk_tokens + shape.answer_tokens < shape.context
    assert shipped.max_tokens <= shipped.batch_tokens
    assert sum(shipped.sources.values()) > 0
    assert any(name.startswith(corpus.GENERATED) for name in shipped.sources)


def test_a_recipe_of_ones_own_by_its_path(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert recipe.load(write(tmp_path, fields | {"minutes": 3})).minutes == 3


def test_a_name_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(Misconfigured, match=r"no recipe 'tinny'\. Give a YAML file, or one of: .*tiny"):
        recipe.load("tinny")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"minutes": 0}, "minutes"),  # no time
        ({"warmup": 1}, "warmup"),  # nothing but warm-up
        ({"decay": 1.5}, "decay"),  # longer than the run
        ({"batch_tokens": 0}, "batch_tokens"),  # empty batches
        ({"momentum": 0.9}, "momentum"),  # a field nobody knows
        ({"sources": {"generated.en": "much"}}, r"sources\.generated\.en"),  # no number
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, fields: dict[str, Any], change: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=rf"mine\.yaml is not valid\. {said}"):
        recipe.load(write(tmp_path, fields | change))


def test_a_model_too_narrow_to_copy_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    narrow = fields["model"] | {"hidden_size": 64}
    with pytest.raises(Misconfigured, match=r"model\.hidden_size"):
        recipe.load(write(tmp_path, fields | {"model": narrow}))
