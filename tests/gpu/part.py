"""Runs one part in this process and writes what it found: a part that breaks the device breaks no other."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import torch
from bench.shape import Shape
from gpu import parts
from gpu.conditions import Conditions

PARTS: dict[str, Callable[[Conditions], Any]] = {
    "model": parts.model,
    "ceilings": parts.ceilings,
    "quick start": parts.quick,
    "transformers": parts.transformers,
    "nf4": parts.nf4,
    "vllm": parts.vllm,
}


def main(name: str, order: Path) -> None:
    """Reads the conditions from the file `order` and replaces it by `{"found": ...}` or `{"failure": ...}`."""
    given = orjson.loads(order.read_bytes())
    given |= {"folder": Path(given["folder"]), "shape": Shape(**given["shape"])}
    torch.set_num_threads(given["threads"])
    try:
        found = PARTS[name](Conditions(**given))
        answer: dict[str, Any] = {"found": asdict(found) if found else {}}
    except Exception as exc:  # whatever a device or a library raises: it is this part's result
        answer = {"failure": f"{type(exc).__name__}: {exc}"}
    order.write_bytes(orjson.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
