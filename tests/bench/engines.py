"""f. What an engine's own ways of saving work are worth: decoding levels, who masks, who batches, prefixes, drafts."""

import importlib.util
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench import workload
from bench.baseline import free
from bench.fleet import Fleet, Model, Speculation
from bench.queue_report import table
from bench.rounds import Documents, Flight, Turn, fly, race, rate, ratio
from bench.throughput import Pass
from rich.table import Table
from transformers import ContinuousBatchingConfig, GenerationConfig

from sluice_schemas import shelf
from sluice_schemas.schema import Decoding, ExtractionSchema
from sluice_worker.engine.request import Request
from sluice_worker.plan import Limits, plan
from sluice_worker.settings import Settings

TINY: Model = "sluice-tiny"
HELD: tuple[Decoding, ...] = ("json", "grounded")
CONCURRENCY = {1: 8, 8: 32, 64: 96}
"""Requests at once, and how many there are of them in a pass."""
MARK = 30_000
SCHEMAS = 12
DESCRIBED = "news/entities-en@1"
IN_FLIGHT: int = Settings.model_fields["threads"].default
"""Documents, as many as a worker has threads by default."""
PAGE_TOKENS = 256
"""Of Transformers' paged cache."""
STEP_TOKENS = 1024
"""In one step of its continuous batching; 256 and 4096 were no faster."""


def turns(fleet: Fleet) -> dict[str, Turn]:
    """Every level on every engine, vLLM's own backend, and Transformers' continuous batching."""
    found: dict[str, Turn] = {}
    for number, level in enumerate(HELD):
        for kind in fleet.scale.kinds:
            found[f"{kind} {level}"] = free(fleet, kind, TINY, level=level, mark=MARK + 1000 * number)
            if kind == "vllm":
                found[f"backend {level}"] = _backend(fleet, level, MARK + 1000 * number + 500)
    return found | {"continuous batching": _continuous(fleet)}


def figures(fleet: Fleet, passes: Mapping[str, Sequence[Pass]]) -> dict[str, Any]:
    """Out of a race with all of `turns`, and with the engines free of grammars; the rest is raced here."""
    levels = {
        kind: {
            level: {
                "documents_per_s": rate(passes[f"{kind} {level}"]),
                "to_free": ratio(passes[f"{kind} {level}"], passes[f"{kind} free"]),
            }
            for level in ("free", *HELD)
        }
        for kind in fleet.scale.kinds
    }
    batching = passes["continuous batching"]
    found: dict[str, Any] = {
        "rounds": fleet.scale.rounds,
        "levels": levels,
        "continuous_batching": {
            "documents_per_s": rate(batching),
            "to_micro_batcher": ratio(batching, passes["transformers free"]),
        },
    }
    if "vllm" in fleet.scale.kinds:
        found["backend"] = {
            level: {
                "documents_per_s": rate(passes[f"backend {level}"]),
                "to_ours": ratio(passes[f"backend {level}"], passes[f"vllm {level}"]),
            }
            for level in HELD
        }
        found |= {"prefixes": _prefixes(fleet), "speculation": _speculation(fleet)}
    return found


def tables(found: Mapping[str, Any]) -> list[Table]:
    """One for levels and batching, and with vLLM one for prefixes and one for speculation."""
    rows = [
        (f"{kind}, {level}", f"{each['documents_per_s']:.1f}", f"{each['to_free']:.2f} of free")
        for kind, levels in found["levels"].items()
        for level, each in levels.items()
    ]
    for level, each in found.get("backend", {}).items():
        rows.append((f"vllm's backend, {level}", f"{each['documents_per_s']:.1f}", f"{each['to_ours']:.2f} of ours"))
    batching = found["continuous_batching"]
    times = f"{batching['to_micro_batcher']:.2f} of the micro-batcher"
    rows.append(("transformers' continuous batching, free", f"{batching['documents_per_s']:.1f}", times))
    made = [table("f. Decoding levels, and who batches", ("sluice-tiny", "documents/s", ""), rows)]
    if "prefixes" in found:
        made += [_prefix_table(found["prefixes"]), _speculation_table(found["speculation"])]
    return made


def _backend(fleet: Fleet, level: Decoding, mark: int) -> Turn:
    from bench.vllm_backend import backed

    def turn(number: int) -> Flight:
        asked = fleet.requests(TINY, mark + number, level=level)
        return fly(fleet.engine("vllm", TINY), [[backed(each) for each in requests] for requests in asked])

    return turn


def _continuous(fleet: Fleet) -> Turn:
    """The same prompts as the engine's, by `generate_batch`, whose scheduler lives on from pass to pass.

    It is for free decoding alone: of logits processors it keeps those of sampling and drops all others.
    """
    intake = fleet.intake(TINY)
    setting = GenerationConfig(
        max_new_tokens=fleet.answer_tokens(TINY),
        do_sample=False,
        eos_token_id=intake.tokenizer.eos_token_id,
        pad_token_id=intake.tokenizer.pad_token_id,
    )

    def turn(number: int) -> Pass:
        asked = fleet.requests(TINY, MARK + 9000 + number, level="free")
        model = fleet.plain(TINY, purpose="continuous batching")
        started = time.perf_counter()
        ids = [intake.prepare(request).ids for requests in asked for request in requests]
        # Without an explicit number of blocks it takes all memory.
        config = ContinuousBatchingConfig(num_blocks=2 * len(ids), max_batch_tokens=STEP_TOKENS)
        answers = model.generate_batch(ids, setting, config, persistent_manager=True).values()
        took_s = time.perf_counter() - started
        if len(answers) < len(ids) or any(each.error for each in answers):
            raise SystemExit("Continuous batching failed; its log says why.")
        taken = sum(len(each.generated_tokens) for each in answers)
        return Pass(len(asked), len(ids), sum(map(len, ids)), taken, took_s)

    return turn


def _prefixes(fleet: Fleet) -> dict[str, Any]:
    """Documents of twelve schemas that nobody has seen, schema by schema and shuffled."""

    def turn(mark: int, number: int, *, is_grouped: bool) -> Flight:
        asked = [*_described(fleet, mark + number)]
        if not is_grouped:
            random.Random(number).shuffle(asked)
        return fly(fleet.engine("vllm", TINY), asked, most=IN_FLIGHT)

    orders = {
        "grouped": lambda number: turn(MARK + 5000, number, is_grouped=True),
        "shuffled": lambda number: turn(MARK + 6000, number, is_grouped=False),
    }
    passes: dict[str, Any] = race(orders, rounds=fleet.scale.rounds)
    first = passes["grouped"][0]
    return {
        "schemas": SCHEMAS,
        "documents": first.documents,
        "prompt_tokens": first.prompt_tokens / first.requests,
        "hit_rate": {name: statistics.median(each.hit_rate for each in taken) for name, taken in passes.items()},
        "documents_per_s": {name: rate(taken) for name, taken in passes.items()},
        "grouped_to_shuffled": ratio(passes["grouped"], passes["shuffled"]),
        "as_served": _served_hit_rate(fleet),
    }


def _served_hit_rate(fleet: Fleet) -> float:
    """Of the shipped schemas' own short prompts, which are less than a block of vLLM's cache on a CPU."""
    return fly(fleet.engine("vllm", TINY), fleet.requests(TINY, MARK + 7000)).hit_rate


def _described(fleet: Fleet, mark: int) -> Documents:
    """Short documents, as many of each schema, with prompts that begin with the descriptions of twelve types."""
    intake, texts = fleet.intake(TINY), workload.documents(fleet.scale.documents[TINY], mark=mark)
    limits = Limits(chunk_tokens=intake.card.chunk_tokens, overlap_tokens=0, answer_tokens=8)
    made = []
    for i, (document, _) in enumerate(texts):
        schema = _schema(mark, i * SCHEMAS // len(texts))
        questions = plan(document, schema, card=intake.card, count_tokens=intake.count_tokens, limits=limits)
        made.append([Request(each.prompt, limits.answer_tokens) for each in questions])
    return made


def _schema(mark: int, number: int) -> ExtractionSchema:
    shipped = shelf.find(DESCRIBED)
    types = tuple(
        each.model_copy(update={"name": f"{each.name} {mark}-{number}{half}"})
        for half in "ab"
        for each in shipped.types
    )
    made = {"id": f"bench/{mark}-{number}", "types": types, "describe_types": True, "decoding": "free", "flat": False}
    return shipped.model_copy(update=made)


def _speculation(fleet: Fleet) -> dict[str, Any]:
    drafts: list[Speculation] = ["none", "ngram"]
    if importlib.util.find_spec("arctic_inference"):
        drafts.append("suffix")
    found: dict[str, Any] = {}
    for most, count in CONCURRENCY.items():
        entrants: dict[str, Turn] = {
            draft: _drafted(fleet, draft, most=most, count=fleet.scale.of(count)) for draft in drafts
        }
        passes = race(entrants, rounds=fleet.scale.rounds)
        found[str(most)] = {
            "requests": passes["none"][0].requests,
            "requests_per_s": {
                each: statistics.median(p.requests / p.seconds for p in passes[each]) for each in drafts
            },
            "to_none": {each: ratio(passes[each], passes["none"]) for each in drafts[1:]},
        }
    return found


def _drafted(fleet: Fleet, draft: Speculation, *, most: int, count: int) -> Turn:
    def turn(number: int) -> Flight:
        asked = fleet.requests(TINY, MARK + 8000 + 100 * most + number)
        single = [[request] for requests in asked for request in requests]
        return fly(fleet.engine("vllm", TINY, speculation=draft), single[:: max(1, len(single) // count)], most=most)

    return turn


def _prefix_table(found: Mapping[str, Any]) -> Table:
    title = f"Prefix cache of vLLM: {found['schemas']} schemas, prompts of {found['prompt_tokens']:.0f} tokens"
    rows = [
        (name, f"{share:.0%}", f"{found['documents_per_s'][name]:.1f}") for name, share in found["hit_rate"].items()
    ]
    rows.append(("as shipped, schema by schema", f"{found['as_served']:.0%}", "-"))
    return table(title, ("Documents", "of prompt tokens cached", "documents/s"), rows)


def _speculation_table(found: Mapping[str, Any]) -> Table:
    rows = []
    for most, each in found.items():
        for draft, speed in each["requests_per_s"].items():
            rows.append((f"{most} at once, {draft}", f"{speed:.1f}", f"{each['to_none'].get(draft, 1.0):.2f}"))
    if not any("suffix" in each["to_none"] for each in found.values()):
        rows.append(("suffix", "-", "arctic-inference is not installed"))
    return table("Speculation on vLLM, grounded", ("Requests", "requests/s", "of none"), rows)
