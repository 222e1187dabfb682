"""Which model an adapter was made for, written into its config and asked before a tuning goes on from it."""

from pathlib import Path

import orjson

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine import adapters, model_folder
from sluice_worker.engine.adapters import CONFIG
from sluice_worker.training.tuning_plan import TuningPlan

BASE_FIELD = "base_model_name_or_path"


def base_name(base: Path) -> str:
    """What an adapter says that it was made for: the folder's name and its content's digest."""
    return f"{base.name}@{model_folder.digest(base)}"


def check(plan: TuningPlan) -> None:
    """Raises `Misconfigured` for a `start_from` that no tuning of these settings and this base goes on from.

    An adapter of another tool says nothing of its base's content; whether it fits is then seen when it is loaded.
    """
    if plan.start_from is None:
        return
    adapters.check(plan.start_from, max_rank=plan.max_rank)
    config = orjson.loads((plan.start_from / CONFIG).read_bytes())
    made_for = str(config.get(BASE_FIELD) or "")
    _, at, digest = made_for.rpartition("@")
    if at and digest != model_folder.digest(plan.base):
        raise Misconfigured(
            f"The adapter in {plan.start_from} was made for {made_for}, not for {base_name(plan.base)}. "
            "Start from the base model, or tune the one it was made for."
        )
    for name, theirs, ours in (
        ("rank", config.get("r"), plan.tuning.rank),
        ("alpha", config.get("lora_alpha"), plan.tuning.alpha),
    ):
        if theirs != ours:
            raise Misconfigured(
                f"The adapter in {plan.start_from} has {name} {theirs}, the settings say {ours}: set {name} to "
                f"{theirs}, or start from the base model."
            )
