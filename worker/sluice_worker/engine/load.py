"""Builds the engine that the settings name. The heavy libraries are imported here and nowhere before."""

import importlib.util
from pathlib import Path

from pydantic import SecretStr

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine import cpu, model_folder
from sluice_worker.engine.request import Engine
from sluice_worker.plan import Limits
from sluice_worker.settings import Settings

BATCH_TOKENS = 16_384
"""What a batch of the Transformers engine takes when nothing is set."""


def load(settings: Settings) -> Engine:
    """Loads the model. Raises `Misconfigured` with what to do when folder, device, dtype or server are wrong."""
    cpu.behave()
    folder = model_folder.resolve(settings.model)
    if settings.engine == "openai":
        return _openai(folder, settings)
    # torch takes seconds to import; a wrong folder is told at once.
    model_folder.check(folder)
    from sluice_worker.engine.device import choose

    device = choose(settings.device, count=settings.tensor_parallel)
    has_vllm = importlib.util.find_spec("vllm") is not None
    if settings.engine == "vllm" or (settings.engine == "auto" and device == "cuda" and has_vllm):
        if not has_vllm:
            raise Misconfigured("SLUICE_ENGINE is vllm, which is not installed: pip install 'sluice-ke[vllm]'.")
        return _vllm(folder, settings)
    return _transformers(folder, settings, device)


def limits(settings: Settings, engine: Engine) -> Limits:
    """The lengths to work with: as set, else as the model advises."""
    return Limits(
        chunk_tokens=settings.chunk_tokens or engine.card.chunk_tokens,
        overlap_tokens=settings.overlap_tokens,
        answer_tokens=settings.answer_tokens or engine.card.answer_tokens,
    )


def _transformers(folder: Path, settings: Settings, device: str) -> Engine:
    from sluice_worker.engine.transformers_engine import TransformersEngine

    if settings.quantization not in ("none", "nf4"):
        raise Misconfigured(f"SLUICE_QUANTIZATION {settings.quantization} needs SLUICE_ENGINE=vllm.")
    for name, value, default in (
        ("SPECULATION", settings.speculation, "none"),
        ("TENSOR_PARALLEL", settings.tensor_parallel, 1),
    ):
        if value != default:
            raise Misconfigured(f"SLUICE_{name} {value} needs SLUICE_ENGINE=vllm.")
    return TransformersEngine(
        folder,
        device=device,
        dtype=settings.dtype,
        quantization=settings.quantization,
        batch_tokens=settings.batch_tokens or BATCH_TOKENS,
        max_adapters=settings.max_adapters,
        max_rank=settings.adapter_rank,
    )


def _vllm(folder: Path, settings: Settings) -> Engine:
    if settings.quantization == "nf4":
        raise Misconfigured("SLUICE_QUANTIZATION nf4 needs SLUICE_ENGINE=transformers; vLLM has fp8, int8 and awq.")
    from sluice_worker.engine.vllm_engine import VllmEngine
    from sluice_worker.engine.vllm_start import Options

    options = Options(
        dtype=settings.dtype,
        quantization=settings.quantization,
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
