"""What a part of the run hands back, and how it stands against the device's ceilings."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.roofline import BF16_BITS, NF4_BITS, Ceilings, decode_tokens_per_s, prefill_tokens_per_s
from bench.shape import Shape
from bench.throughput import Pass


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over `passes`; rates are those of whole passes, of the prompts alone, and of the answers alone.

    `batch` is how many requests were there at once, `prompt_tokens` the mean length of their prompts, `context` the
    tokens that one held in the mean while it was answered.
    """

    passes: int
    documents: int
    requests: int
    batch: int
    prompt_tokens: float
    context: float
    load_s: float
    memory_bytes: int
    documents_per_s: float
    prompt_tokens_per_s: float
    completion_tokens_per_s: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """The two ceilings for the load that was measured, in tokens/s, and the shares of them that were reached."""

    prefill_ceiling: float
    prefill_share: float
    decode_ceiling: float
    decode_share: float | None


def figures(
    prefills: Sequence[Pass],
    wholes: Sequence[Pass],
    *,
    batch: int,
    requests_per_document: float,
    load_s: float,
    memory_bytes: int,
) -> Figures:
    """`prefills` asked for one token an answer, `wholes` for all of them; the difference is decoding.

    There is no rate of decoding where whole passes took no longer than the prompts alone: a busy machine's noise was
    larger than it. `requests_per_document` is that of the whole workload: a pass over a few documents may have had a
    few more.
    """
    whole = wholes[0]
    prefill_s = statistics.median(each.seconds for each in prefills)
    decode_s = statistics.median(each.seconds for each in wholes) - prefill_s
    prompt_tokens = whole.prompt_tokens / whole.requests
    return Figures(
        passes=len(wholes),
        documents=whole.documents,
        requests=whole.requests,
        batch=batch,
        prompt_tokens=prompt_tokens,
        context=prompt_tokens + whole.completion_tokens / whole.requests / 2,
        load_s=load_s,
        memory_bytes=memory_bytes,
        documents_per_s=statistics.median(each.requests / each.seconds for each in wholes) / requests_per_document,
        prompt_tokens_per_s=statistics.median(each.prompt_tokens_per_s for each in wholes),
        completion_tokens_per_s=statistics.median(each.completion_tokens_per_s for each in wholes),
        prefill_tokens_per_s=statistics.median(each.prompt_tokens_per_s for each in prefills),
        decode_tokens_per_s=(whole.completion_tokens - whole.requests) / decode_s if decode_s > 0 else None,
    )


def standing(found: Figures, shape: Shape, ceilings: Ceilings, *, is_nf4: bool) -> Standing:
    """Against the ceilings of this load: its batch, its lengths, the weights as they are held."""
    prefill = prefill_tokens_per_s(shape, ceilings, context=found.prompt_tokens)
    decode = decode_tokens_per_s(
        shape,
        ceilings,
        batch=found.batch,
        context=found.context,
        weight_bits=NF4_BITS if is_nf4 else BF16_BITS,
    )
    rate = found.decode_tokens_per_s
    return Standing(prefill, found.prefill_tokens_per_s / prefill, decode, None if rate is None else rate / decode)
