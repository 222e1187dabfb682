"""The settings of a training from scratch: one YAML file says everything that a run depends on."""

from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from sluice_schemas.errors import Misconfigured
from sluice_schemas.schema import Decoding
from sluice_schemas.wire import Strict, describe

RECIPES = Path(__file__).with_name("recipes")


class ModelShape(Strict):
    """The LLaMA to build. Widths are in numbers of coordinates, lengths in tokens.

    `chunk_tokens`, `answer_tokens` and `decoding` go into its config.json as advice to those who serve it.
    """

    vocabulary: int = Field(ge=1000)
    hidden_size: int = Field(ge=192)
    layers: int = Field(ge=2)
    heads: int = Field(ge=2)
    intermediate_size: int
    rope_theta: float
    context: int
    chunk_tokens: int
    answer_tokens: int
    decoding: Decoding


class Recipe(Strict):
    """`minutes` of training; `warmup` and `decay` are the shares of it in which the learning rate rises and falls.

    `joined` is the share of exercises to which another row is joined, and another to so many of those, for texts longer
    than the data sets have. `blind` is the share that asks for labels drawn without a look at what the text holds, as
    most of the questions are that a large schema is split into. `prompt_loss` weighs the loss of the prompt's tokens
    against the answer's. `compile` compiles the layers: it costs a minute at the start.
    """

    seed: int
    minutes: float = Field(gt=0)
    batch_tokens: int = Field(gt=0)
    max_tokens: int = Field(gt=0)
    muon_lr: float
    adamw_lr: float
    warmup: float = Field(ge=0, lt=1)
    decay: float = Field(ge=0, le=1)
    checkpoint_minutes: float = Field(gt=0)
    joined: float = Field(ge=0, lt=1)
    blind: float = Field(ge=0, le=1)
    prompt_loss: float = Field(ge=0)
    compile: bool
    model: ModelShape
    sources: dict[str, float]
    """Source name -> relative share of the exercises."""


def load(name: str) -> Recipe:
    """Reads a recipe that ships with Sluice by its name, or a YAML file by its path."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in RECIPES.glob("*.yaml")))
        raise Misconfigured(f"There is no recipe {name!r}. Give a YAML file, or one of: {known}.")
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as exc:
        raise Misconfigured(describe(exc, f"recipe {path}")) from exc
