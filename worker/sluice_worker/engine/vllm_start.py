"""How vLLM is started: our options as its arguments."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine.device import number_format

if TYPE_CHECKING:
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

Quantization = Literal["none", "fp8", "int8", "awq"]
Speculation = Literal["none", "ngram", "suffix"]

QUANTIZATIONS: dict[Quantization, str | None] = {
    "none": None,
    "fp8": "fp8",
    "int8": "int8_per_channel_weight_only",
    "awq": "awq",
}
"""vLLM's names. fp8 and int8 are made while loading, awq needs a model that was stored so. 0.32 has no bitsandbytes."""

SPECULATIONS: dict[Speculation, dict[str, object] | None] = {
    "none": None,
    "ngram": {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4, "prompt_lookup_min": 2},
    "suffix": {"method": "suffix", "num_speculative_tokens": 8},
}
"""Answers are copies of the prompt, so both look for drafts there."""

GUIDE = "sluice_worker.engine.vllm_guide:GrammarProcessor"
CPU_CACHE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Options:
    """How vLLM serves.

    `memory_share` of the device's memory is taken for weights and for the cache of keys and values, unless
    `cache_bytes` says how large that cache is (on a CPU always: a gibibyte by default). At most `max_sequences` answers
    grow at once. `admitted_tokens` bounds what is handed to vLLM, prompts and reserved answers together; None is what
    the cache holds, so that nothing is ever pushed out of it.
    """

    dtype: str = "auto"
    quantization: Quantization = "none"
    speculation: Speculation = "none"
    tensor_parallel: int = 1
    memory_share: float = 0.9
    cache_bytes: int | None = None
    max_sequences: int = 256
    max_adapters: int = 4
    adapter_rank: int = 64
    admitted_tokens: int | None = None


async def start(folder: Path, options: Options) -> "AsyncLLM":
    """Starts vLLM's processes; call it on the event loop that will use them. Raises `Misconfigured`."""
    # vLLM reports usage over the network, and would fork a process that has threads.
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_WORKER_MULTIPROCESSING_METHOD", "spawn")
    from vllm.v1.engine.async_llm import AsyncLLM

    try:
        return AsyncLLM.from_engine_args(_arguments(folder, options))
    except Misconfigured:
        raise
    except Exception as exc:  # whatever vLLM raises at its start comes from the settings, the model or the machine
        raise Misconfigured(f"vLLM does not start with the model in {folder}: {exc}") from exc


def _arguments(folder: Path, options: Options) -> "AsyncEngineArgs":
    from vllm import AsyncEngineArgs
    from vllm.platforms import current_platform

    is_cpu = current_platform.is_cpu()
    # vLLM's quantised kernels know no float32.
    numbers = number_format("cpu" if is_cpu and options.quantization == "none" else "cuda", options.dtype)
    return AsyncEngineArgs(
        model=str(folder),
        served_model_name=folder.name,
        dtype=numbers,
        trust_remote_code=False,
        load_format="safetensors",
        quantization=QUANTIZATIONS[options.quantization],
        speculative_config=SPECULATIONS[options.speculation],
        tensor_parallel_size=options.tensor_parallel,
        gpu_memory_utilization=options.memory_share,
        kv_cache_memory_bytes=options.cache_bytes or (CPU_CACHE_BYTES if is_cpu else None),
        max_num_seqs=options.max_sequences,
        enable_lora=options.max_adapters > 0,
        # On a CPU rows without an adapter take the last slot's (vLLM #48421): one that is always empty.
        max_loras=options.max_adapters + 1 if is_cpu else max(1, options.max_adapters),
        max_lora_rank=options.adapter_rank,
        # Chat models ship with sampling and penalties switched on.
        generation_config="vllm",
        enable_prefix_caching=True,
        # On a CPU compiling takes longer than it saves; greedy text would differ too.
        enforce_eager=is_cpu,
        structured_outputs_config={"backend": "guidance", "disable_any_whitespace": True},
        logits_processors=None if options.speculation != "none" else [GUIDE],
        disable_log_stats=False,
    )
