"""Starts each part in its own process, one after the other, and never lets one hold up the rest."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from gpu.conditions import Conditions

NEEDS = {"nf4": ("bitsandbytes", "bitsandbytes"), "vllm": ("vllm", "vLLM")}
"""Module and name of what a part needs beyond the worker."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}

Found = Mapping[str, Any]


class PartFailed(Exception):
    """A part of the run gave no figures; the message says why."""


def run(part: str, conditions: Conditions, *, until: float) -> Found:
    """What the part found. Raises `PartFailed`; at `until`, in monotonic seconds, it is killed with its children."""
    module, name = NEEDS.get(part, ("torch", "torch"))
    if not is_installed(module):
        raise PartFailed(f"{name} is not installed here")
    if time.monotonic() >= until:
        raise PartFailed("not begun: the time was used up before")
    order = conditions.folder.parent / "part.json"
    order.write_bytes(orjson.dumps(asdict(conditions) | {"folder": str(conditions.folder)}))
    _execute(part, order, until)
    answer = orjson.loads(order.read_bytes())
    if "found" not in answer:
        raise PartFailed(answer["failure"])
    return dict(answer["found"])


def is_installed(module: str) -> bool:
    """Whether it can be imported; a mere folder of that name has no origin."""
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None


def _execute(part: str, order: Path, until: float) -> None:
    # A session of its own: an engine's processes end with it, and so does what they hold on the device.
    process = subprocess.Popen(
        [sys.executable, "-m", "gpu.part", part, str(order)],
        env={**os.environ, **OFFLINE, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
    )
    try:
        status = process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired as exc:
        raise PartFailed("stopped: the time was used up in the midst of it") from exc
    finally:
        _kill_group(process)
    if status:
        raise PartFailed(f"its process ended with status {status}; its output says why")


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # nothing of it is left
        return
    process.wait()
