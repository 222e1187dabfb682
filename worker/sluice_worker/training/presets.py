"""Settings of tunings that ship, one YAML file each."""

from pathlib import Path

import yaml

from sluice_schemas.errors import Misconfigured
from sluice_worker.training.tuning_plan import Tuning

FOLDER = Path(__file__).with_name("presets")


def names() -> list[str]:
    """The presets that ship, sorted."""
    return sorted(each.stem for each in FOLDER.glob("*.yaml"))


def load(name: str) -> Tuning:
    """The settings of a preset by its name, or of a YAML file by its path. Raises `Misconfigured`."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise Misconfigured(f"There is no preset {name!r}. Give a YAML file, or one of: {', '.join(names())}.")
    return Tuning.of(yaml.safe_load(path.read_text(encoding="utf-8")), name=f"preset {path.name}")
