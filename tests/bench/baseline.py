"""b. Against OneKE's quick start: the same weights on the same device, next to what this processor could do at most."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from bench import quick_start, roofline
from bench.fleet import Fleet, Kind, Model
from bench.queue_report import table
from bench.roofline import Ceilings
from bench.rounds import Flight, Turn, fly
from bench.shape import Shape
from bench.throughput import Pass
from rich.table import Table

from sluice_schemas.schema import Decoding

SAMPLE = 5
"""The quick start answers every fifth document of a pass: another fifth each round, all of them in five."""
MARK = 20_000
GOALS: dict[Model, dict[Kind, float]] = {
    "sluice-tiny": {"transformers": 5.0, "vllm": 8.0},
    "random": {"transformers": 2.5, "vllm": 2.5},
}


def turns(fleet: Fleet, model: Model) -> dict[str, Turn]:
    """The quick start, and each engine without a grammar, as the quick start is."""
    found: dict[str, Turn] = {"quick start": _quick(fleet, model)}
    for kind in fleet.scale.kinds:
        found[f"{kind} free"] = free(fleet, kind, model)
    return found


def free(fleet: Fleet, kind: Kind, model: Model, *, level: Decoding = "free", mark: int = MARK) -> Turn:
    """All documents of a pass at once, at one decoding level."""

    def turn(number: int) -> Flight:
        return fly(fleet.engine(kind, model), fleet.requests(model, mark + number, level=level))

    return turn


def figures(fleet: Fleet, model: Model, passes: Mapping[str, Sequence[Pass]]) -> dict[str, Any]:
    """Medians for each engine. Of the random model also the shares of what this processor could do."""
    quick = passes["quick start"]
    found: dict[str, Any] = {
        "rounds": len(quick),
        "quick_requests_per_s": statistics.median(each.requests / each.seconds for each in quick),
        "engines": {
            kind: _compared(passes[f"{kind} free"], quick) | {"goal": GOALS[model][kind]} for kind in fleet.scale.kinds
        },
    }
    if model == "random":
        shape = fleet.scale.shape
        ceilings = roofline.measure(shape, device="cpu", threads=torch.get_num_threads(), repeats=5)
        found["roofline"] = dataclasses.asdict(ceilings)
        for kind in fleet.scale.kinds:
            found["engines"][kind]["share"] = _share(passes[f"{kind} free"], shape, ceilings)
        found["quick_share"] = _share(quick, shape, ceilings, batch=1)
    return found


def tables(found: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """`found` has the figures of each model."""
    rows = []
    for model, each in found.items():
        rows.append(
            (f"{model}, quick start", f"{each['quick_requests_per_s']:.1f}", "1.0", "-", _of(each, "quick_share"))
        )
        for kind, engine in each["engines"].items():
            numbers = f"{engine['requests_per_s']:.1f}", f"{engine['times_quick_start']:.1f}", f"{engine['goal']:.1f}"
            rows.append((f"{model}, {kind}", *numbers, _of(engine, "share")))
    heads = ("Free decoding, same prompts", "requests/s", "times", "goal", "of roofline")
    made = [table("b. Against the quick start, one document at a time", heads, rows)]
    for each in found.values():
        if "roofline" in each:
            rates = each["roofline"]
            best = max(rates["matrices"].values()) / 1e9, max(rates["streams"].values()) / 1e9
            made[0].caption = f"This processor: {best[0]:.0f} GFLOP/s in {rates['number_format']}, {best[1]:.1f} GB/s"
    return made


def _quick(fleet: Fleet, model: Model) -> Turn:
    def turn(number: int) -> Pass:
        requests = fleet.requests(model, MARK + number, level="free")
        prompts = [[each.prompt.text for each in found] for found in requests[number % SAMPLE :: SAMPLE]]
        tokenizer = fleet.intake(model).tokenizer
        held = fleet.plain(model, purpose="quick start")
        return quick_start.run(held, tokenizer, prompts, max_tokens=fleet.answer_tokens(model))

    return turn


def _compared(ours: Sequence[Pass], quick: Sequence[Pass]) -> dict[str, float]:
    """By requests: the quick start's sample may have a few more of them a document than the whole pass."""
    rates = [each.requests / each.seconds for each in ours]
    others = [each.requests / each.seconds for each in quick]
    return {
        "documents_per_s": statistics.median(each.documents_per_s for each in ours),
        "requests_per_s": statistics.median(rates),
        "times_quick_start": statistics.median(a / b for a, b in zip(rates, others, strict=True)),
        "times_of_totals": _total(ours) / _total(quick),
        "hit_rate": statistics.median(each.hit_rate for each in ours if isinstance(each, Flight)),
    }


def _total(passes: Sequence[Pass]) -> float:
    return sum(each.requests for each in passes) / sum(each.seconds for each in passes)


def _share(passes: Sequence[Pass], shape: Shape, ceilings: Ceilings, *, batch: int | None = None) -> float:
    """The least time that the passes' arithmetic and reading could take, of the time that they took."""
    return statistics.median(_least_s(each, shape, ceilings, batch or each.requests) / each.seconds for each in passes)


def _least_s(each: Pass, shape: Shape, ceilings: Ceilings, batch: int) -> float:
    prompt = each.prompt_tokens / each.requests
    context = prompt + each.completion_tokens / each.requests / 2
    cached = each.cached_tokens if isinstance(each, Flight) else 0
    prefill = roofline.prefill_tokens_per_s(shape, ceilings, context=prompt)
    decode = roofline.decode_tokens_per_s(shape, ceilings, batch=batch, context=context)
    return (each.prompt_tokens - cached) / prefill + each.completion_tokens / decode


def _of(row: Mapping[str, Any], name: str) -> str:
    return f"{row[name]:.0%}" if name in row else "-"
