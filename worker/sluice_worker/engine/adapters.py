"""LoRA adapters: what may be served, and which ones an engine holds while requests still run on them."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import orjson

from sluice_schemas.errors import BadInput, Misconfigured

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"

H = TypeVar("H")


def check(folder: Path, *, max_rank: int) -> str:
    """The adapter's name: twenty hex digits of the digest of its content.

    Raises `Misconfigured` for what no engine serves: pickled weights, a kind that is not plain LoRA, a rank over
    `max_rank`, whole modules saved beside the LoRA (vLLM cannot serve them).
    """
    if not (folder / WEIGHTS).is_file() or not (folder / CONFIG).is_file():
        raise Misconfigured(f"{folder} is no adapter: it needs {CONFIG} and {WEIGHTS} (no pickled weights).")
    raw = (folder / CONFIG).read_bytes()
    if fault := _fault(raw, max_rank):
        raise Misconfigured(f"The adapter in {folder} cannot be served: {fault}.")
    with (folder / WEIGHTS).open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256")
    digest.update(raw)
    return digest.hexdigest()[:20]


def _fault(raw: bytes, max_rank: int) -> str | None:
    try:
        config = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return f"{CONFIG} is not JSON; copy it again"
    foreign = f"{CONFIG} is not what PEFT writes; copy it again"
    if not isinstance(config, dict):
        return foreign
    rank, modules = config.get("r", 0), config.get("modules_to_save") or []
    if not isinstance(rank, int) or not isinstance(modules, list):
        return foreign
    if config.get("peft_type") != "LORA" or config.get("use_dora"):
        return "it is not plain LoRA; train one with `use_dora` off"
    if modules:
        return f"it saves whole modules ({', '.join(map(str, modules))}); train it without `modules_to_save`"
    if rank > max_rank:
        return f"its rank is {rank}; raise SLUICE_ADAPTER_RANK from {max_rank}"
    return None


@dataclass(slots=True)
class _Held(Generic[H]):
    handle: H
    users: int = 0
    is_dropped: bool = False


class Adapters(Generic[H]):
    """The adapters of one engine, at most `limit`, each under its digest with the handle that the engine knows it by.

    `unload` is called with the handle of a dropped adapter once nothing runs on it any more, from any thread.
    """

    def __init__(self, unload: Callable[[H], None], *, limit: int) -> None:
        self._unload = unload
        self._limit = limit
        self._held: dict[str, _Held[H]] = {}
        self._lock = threading.Lock()

    def holds(self, name: str) -> bool:
        """Whether it is served; one that was dropped but not yet unloaded is served again from now on.

        Raises `Misconfigured` when it is not, and there is no room for one more.
        """
        with self._lock:
            if name in self._held:
                self._held[name].is_dropped = False
                return True
            if len(self._held) >= self._limit:
                raise Misconfigured(f"{self._limit} adapters are loaded. Drop one, or raise SLUICE_MAX_ADAPTERS.")
            return False

    def add(self, name: str, handle: H) -> None:
        """Serves an adapter that the engine has loaded."""
        with self._lock:
            self._held[name] = _Held(handle)

    def take(self, name: str) -> H:
        """The handle, for one request; give it back with `leave`. Raises `BadInput` for one that is not served."""
        with self._lock:
            held = self._held.get(name)
            if held is None or held.is_dropped:
                raise BadInput(f"The adapter {name} is not loaded here. Ask for one that is, or for the base model.")
            held.users += 1
            return held.handle

    def leave(self, name: str) -> None:
        """A request on this adapter is over."""
        with self._lock:
            self._held[name].users -= 1
        self._sweep(name)

    def drop(self, name: str) -> None:
        """No new request gets it. One that is not held is no error."""
        with self._lock:
            if name in self._held:
                self._held[name].is_dropped = True
        self._sweep(name)

    def _sweep(self, name: str) -> None:
        with self._lock:
            held = self._held.get(name)
            if held is None or not held.is_dropped or held.users:
                return
            del self._held[name]
        self._unload(held.handle)
