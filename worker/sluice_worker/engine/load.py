"""Builds the engine that the settings name. The heavy libraries are imported here and nowhere before."""

import importlib.util
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine import cpu, model_folder
from sluice_worker.engine.request import Engine, ModelCard
from sluice_worker.plan import Limits
from sluice_worker.settings import Settings

Kind = Literal["transformers", "vllm", "openai"]

BATCH_TOKENS = 16_384
"""What a batch of the Transformers engine takes when nothing is set."""


def load(settings: Settings) -> Engine:
    """Loads the model. Raises `Misconfigured` with what to do when folder, device, dtype or server are wrong."""
    cpu.behave()
    folder = model_folder.resolve(settings.model)
    engine = kind(settings)
    if engine == "openai":
        return _openai(folder, settings)
    model_folder.check(folder)
    return _vllm(folder, settings) if engine == "vllm" else _transformers(folder, settings)


def kind(settings: Settings) -> Kind:
    """Which engine the settings mean. Raises `Misconfigured` for what does not go together, or is not there."""
    if settings.engine == "openai":
        return "openai"
    has_vllm = importlib.util.find_spec("vllm") is not None
    if settings.engine == "vllm" and not has_vllm:
        raise Misconfigured("SLUICE_ENGINE is vllm, which is not installed: pip install 'sluice-ke[vllm]'.")
    engine = settings.engine
    if engine == "auto":
        engine = "vllm" if has_vllm and device(settings) == "cuda" else "transformers"
    _demand_fit(settings, engine)
    return engine


def limits(settings: Settings, card: ModelCard) -> Limits:
    """The lengths to work with: as set, else as the model advises."""
    return Limits(
        chunk_tokens=settings.chunk_tokens or card.chunk_tokens,
        overlap_tokens=settings.overlap_tokens,
        answer_tokens=settings.answer_tokens or card.answer_tokens,
    )


def _demand_fit(settings: Settings, engine: Kind) -> None:
    """Raises `Misconfigured` for a setting that this engine would not heed."""
    if engine == "vllm" and settings.quantization == "nf4":
        raise Misconfigured("SLUICE_QUANTIZATION nf4 needs SLUICE_ENGINE=transformers; vLLM has fp8, int8 and awq.")
    if engine == "transformers":
        unheeded = {
            "QUANTIZATION": settings.quantization not in ("none", "nf4"),
            "SPECULATION": settings.speculation != "none",
            "TENSOR_PARALLEL": settings.tensor_parallel != 1,
        }
        if names := ", ".join(f"SLUICE_{name}" for name, is_so in unheeded.items() if is_so):
            raise Misconfigured(f"{names}: only vLLM can do what is set there. Set SLUICE_ENGINE=vllm.")


def device(settings: Settings) -> str:
    """`cpu` or `cuda`, as the settings mean. Raises `Misconfigured` for GPUs that are not there, or too many."""
    # torch takes seconds to import; a wrong folder is told at once.
    from sluice_worker.engine.device import choose

    return choose(settings.device, count=settings.tensor_parallel)


def _transformers(folder: Path, settings: Settings) -> Engine:
    chosen = device(settings)
    from sluice_worker.engine.transformers_engine import TransformersEngine

    return TransformersEngine(
        folder,
        device=chosen,
        dtype=settings.dtype,
        quantization="nf4" if settings.quantization == "nf4" else "none",
        batch_tokens=settings.batch_tokens or BATCH_TOKENS,
        max_adapters=settings.max_adapters,
        max_rank=settings.adapter_rank,
    )


def _vllm(folder: Path, settings: Settings) -> Engine:
    device(settings)
    from sluice_worker.engine.vllm_engine import VllmEngine
    from sluice_worker.engine.vllm_start import Options

    options = Options(
        dtype=settings.dtype,
        quantization="none" if settings.quantization == "nf4" else settings.quantization,
        speculation=settings.speculation,
        tensor_parallel=settings.tensor_parallel,
        memory_share=settings.memory_share,
        cache_bytes=settings.cache_bytes,
        max_sequences=settings.max_sequences,
        max_adapters=settings.max_adapters,
        adapter_rank=settings.adapter_rank,
        admitted_tokens=settings.batch_tokens,
    )
    return VllmEngine(folder, options)


def _openai(folder: Path, settings: Settings) -> Engine:
    from sluice_worker.engine.openai_engine import OpenAiEngine, Server

    if settings.server_url is None or settings.server_model is None:
        raise Misconfigured("SLUICE_ENGINE openai needs SLUICE_SERVER_URL (ending in /v1) and SLUICE_SERVER_MODEL.")
    server = Server(
        url=settings.server_url,
        model=settings.server_model,
        key=settings.server_key or SecretStr("none"),
        timeout_s=settings.server_timeout_s,
        retries=settings.server_retries,
        max_sequences=settings.max_sequences,
        max_adapters=settings.max_adapters,
        adapter_rank=settings.adapter_rank,
    )
    return OpenAiEngine(folder, server)
