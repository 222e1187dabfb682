"""The parts of the run that use the device. Each is called in a process of its own."""

import time
from collections.abc import Callable

import torch
from bench import quick_start, random_model, roofline, workload
from bench.roofline import Ceilings
from bench.throughput import Pass, at_once
from gpu import memory
from gpu.conditions import Conditions
from gpu.figures import Figures, figures
from transformers import AutoModelForCausalLM

from sluice_worker.engine.intake import Intake
from sluice_worker.engine.request import Engine, ModelCard, Request

PASSES = 5
"""At most; fewer when the part's time is over."""
SAMPLE = 5
"""Documents in a pass of the quick start, which takes seconds for each on any device."""


def model(conditions: Conditions) -> None:
    """Writes the weights."""
    random_model.make(conditions.folder, conditions.shape, device=conditions.device)


def ceilings(conditions: Conditions) -> Ceilings:
    """What the device can do at most."""
    return roofline.measure(conditions.shape, device=conditions.device, threads=conditions.threads)


def quick(conditions: Conditions) -> Figures:
    """The README's loop."""
    intake = Intake(conditions.folder)
    before, started = memory.used_bytes(conditions.device), time.perf_counter()
    # Straight onto the device, as the README has it.
    held = AutoModelForCausalLM.from_pretrained(
        conditions.folder, dtype=torch.bfloat16, device_map={"": conditions.device}
    ).eval()
    load_s = time.perf_counter() - started

    def one_pass(mark: int, max_tokens: int) -> Pass:
        asked = _requests(conditions, intake.card, intake.count_tokens, mark, max_tokens)
        prompts = [[each.prompt.text for each in found] for found in asked]
        return quick_start.run(held, intake.tokenizer, _spread(prompts), max_tokens=max_tokens)

    prefills, wholes = _passes(one_pass, conditions)
    taken = memory.used_bytes(conditions.device) - before
    everything = _requests(conditions, intake.card, intake.count_tokens, 0, conditions.max_tokens)
    return figures(
        prefills,
        wholes,
        batch=1,
        requests_per_document=sum(map(len, everything)) / len(everything),
        load_s=load_s,
        memory_bytes=taken,
    )


def transformers(conditions: Conditions) -> Figures:
    """The engine on Transformers, batched by the micro-batcher."""
    return _engine(conditions, lambda: _transformers(conditions, is_nf4=False))


def nf4(conditions: Conditions) -> Figures:
    """The same with 4-bit weights."""
    return _engine(conditions, lambda: _transformers(conditions, is_nf4=True))


def vllm(conditions: Conditions) -> Figures:
    """The engine on vLLM. The beginnings that prompts share come from its cache, as in service: no arithmetic there."""
    return _engine(conditions, lambda: _vllm(conditions))


def _transformers(conditions: Conditions, *, is_nf4: bool) -> Engine:
    from sluice_worker.engine.transformers_engine import TransformersEngine

    return TransformersEngine(
        conditions.folder,
        device=conditions.device,
        quantization="nf4" if is_nf4 else "none",
        batch_tokens=conditions.batch_tokens,
    )


def _vllm(conditions: Conditions) -> Engine:
    from sluice_worker.engine.vllm_engine import VllmEngine
    from sluice_worker.engine.vllm_start import Options

    # No other engine is measured with adapters, and room for them costs time even where nobody uses it.
    return VllmEngine(conditions.folder, Options(max_adapters=0))


def _engine(conditions: Conditions, load: Callable[[], Engine]) -> Figures:
    before, started = memory.used_bytes(conditions.device), time.perf_counter()
    engine = load()
    load_s = time.perf_counter() - started
    try:
        prefills, wholes = _passes(
            lambda mark, max_tokens: at_once(
                engine, _requests(conditions, engine.card, engine.count_tokens, mark, max_tokens)
            ),
            conditions,
        )
        taken = memory.used_bytes(conditions.device) - before
    finally:
        engine.close()
    return figures(
        prefills,
        wholes,
        batch=wholes[0].requests,
        requests_per_document=wholes[0].requests / wholes[0].documents,
        load_s=load_s,
        memory_bytes=taken,
    )


def _passes(run: Callable[[int, int], Pass], conditions: Conditions) -> tuple[list[Pass], list[Pass]]:
    """Passes for one token and for all, in turn, after one that warms up. No two have the same texts."""
    run(0, 4)
    started = time.perf_counter()
    prefills: list[Pass] = []
    wholes: list[Pass] = []
    while len(wholes) < PASSES and (not wholes or time.perf_counter() - started < conditions.budget_s):
        prefills.append(run(2 * len(wholes) + 1, 1))
        wholes.append(run(2 * len(wholes) + 2, conditions.max_tokens))
    return prefills, wholes


def _requests(
    conditions: Conditions, card: ModelCard, count_tokens: Callable[[str], int], mark: int, max_tokens: int
) -> list[list[Request]]:
    given = workload.documents(conditions.documents, mark=mark)
    return workload.requests(given, card=card, count_tokens=count_tokens, max_tokens=max_tokens)


def _spread(documents: list[list[str]]) -> list[list[str]]:
    """A few, from all over the list: English and Chinese, entities, relations and events."""
    return documents[:: max(1, len(documents) // SAMPLE)][:SAMPLE]
