"""Looks at a model folder before torch does: what is wrong with it is said in a sentence, not in a stack trace."""

import hashlib
from pathlib import Path

import orjson

from sluice_schemas.errors import Misconfigured

SHIPPED = Path(__file__).parents[1] / "models"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
SAMPLE_BYTES = 1 << 20


def resolve(model: str) -> Path:
    """The folder of a model given by path, or by the name of one that ships with Sluice."""
    folder = SHIPPED / model if (SHIPPED / model).is_dir() else Path(model)
    if not folder.is_dir():
        raise Misconfigured(f"There is no model folder {model!r}. Set SLUICE_MODEL to a folder, or to sluice-tiny.")
    return folder


def check(folder: Path) -> None:
    """Raises `Misconfigured` unless the folder holds a causal language model in safetensors with a fast tokenizer."""
    if not (folder / "config.json").is_file():
        raise Misconfigured(f"{folder} has no config.json: it is not a model folder. Point SLUICE_MODEL at one.")
    architectures = config(folder).get("architectures")
    if not isinstance(architectures, list) or not any(str(name).endswith("ForCausalLM") for name in architectures):
        raise Misconfigured(
            f"{folder} holds {architectures or 'no known architecture'}; a causal language model is needed."
        )
    if not any(folder.glob("*.safetensors")):
        found = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
        reason = (
            f"only pickled weights ({', '.join(found[:3])}), which can run code when loaded" if found else "no weights"
        )
        raise Misconfigured(f"{folder} holds {reason}. Convert the model to safetensors.")
    if not (folder / "tokenizer.json").is_file():
        raise Misconfigured(f"{folder} has no tokenizer.json. Save the model's fast tokenizer there.")


def config(folder: Path) -> dict[str, object]:
    """The parsed config.json. Raises `Misconfigured` when it cannot be read."""
    try:
        parsed = orjson.loads((folder / "config.json").read_bytes())
    except orjson.JSONDecodeError as exc:
        raise Misconfigured(f"{folder}/config.json is not JSON: {exc}. Copy the model again.") from exc
    return parsed if isinstance(parsed, dict) else {}


def digest(folder: Path) -> str:
    """Twelve hex digits over config, tokenizer and weights; of each file its size, first and last mebibyte count.

    Reading 26 GB to the end would take a minute at each start, and a retrained model differs everywhere.
    """
    seen = hashlib.sha256()
    for path in sorted([folder / "config.json", folder / "tokenizer.json", *folder.glob("*.safetensors")]):
        size_bytes = path.stat().st_size
        seen.update(f"{path.name} {size_bytes}\n".encode())
        with path.open("rb") as file:
            seen.update(file.read(SAMPLE_BYTES))
            file.seek(max(0, size_bytes - SAMPLE_BYTES))
            seen.update(file.read(SAMPLE_BYTES))
    return seen.hexdigest()[:12]
