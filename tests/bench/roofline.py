"""What this device could do at most, measured in the same run as what is held against it (Williams et al. 2009).

A step of a model can take no less time than its arithmetic at the matrix rate, and no less than its bytes at the
memory bandwidth.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from bench.shape import BF16_BYTES, Shape

from sluice_worker.engine.device import NumberFormat, number_format

BF16_BITS = 16.0
FLOAT32_BYTES = 4
NF4_BITS = 4.127
"""A weight in nf4 with double quantisation: 4 bits, and 0.127 for the scales (Dettmers et al. 2023, section 3)."""

STREAM_BYTES = {"cpu": 1 << 29, "cuda": 1 << 32}
"""Of each buffer: many times the last cache before the memory (an H200 has 60 MB, a server's core sees 32 to 96)."""
SQUARE = {"cpu": 2048, "cuda": 8192}
ROWS = {"cpu": 512, "cuda": 4096}
"""Tokens that go through the model's matrices at once."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Rates by what was measured: `matrices` in FLOP/s, `streams` in bytes/s (read, and written where it copies).

    `number_format` is what our engines calculate in on this device, and what the matrices were of.
    """

    device: str
    threads: int
    matrices: Mapping[str, float]
    streams: Mapping[str, float]
    number_format: NumberFormat = "bfloat16"

    @property
    def matrix_rate(self) -> float:
        """FLOP/s of the best matrix product."""
        return max(self.matrices.values())

    @property
    def bandwidth(self) -> float:
        """Bytes/s of the best stream."""
        return max(self.streams.values())


def measure(shape: Shape, *, device: str, threads: int, repeats: int = 7) -> Ceilings:
    """Medians over `repeats` on `cpu` or `cuda`. Sets torch's number of threads for the process, for good."""
    torch.set_num_threads(threads)
    kind = torch.device(device).type
    return Ceilings(
        device=torch.cuda.get_device_name() if kind == "cuda" else "cpu",
        threads=threads,
        matrices=_matrices(shape, kind, repeats),
        streams=_streams(kind, repeats),
        number_format=number_format(kind),
    )


def prefill_tokens_per_s(shape: Shape, ceilings: Ceilings, *, context: float) -> float:
    """The most prompt tokens a second, bound by the matrix rate, for prompts of `context` tokens.

    A forward pass takes 2 N + 2 layers x context x width FLOP a token, the second term for attention that looks back
    only (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", table 1). N counts the layers' matrices: of a
    prompt only the last token needs the head.
    """
    flop = 2 * shape.layer_parameters + 2 * shape.layers * context * shape.width
    return ceilings.matrix_rate / flop


def decode_tokens_per_s(
    shape: Shape, ceilings: Ceilings, *, batch: int, context: float, weight_bits: float = BF16_BITS
) -> float:
    """The most answer tokens a second, for `batch` sequences that hold `context` tokens each, in the mean.

    A step reads every weight once, and the keys and values of each sequence once (Pope et al. 2022, "Efficiently
    Scaling Transformer Inference", section 2). Where a large batch makes its arithmetic the longer part, that binds.
    `weight_bits` are those of the layers; the head stays in bfloat16, and of the embeddings a row a token is read.
    """
    read = weight_bytes(shape, weight_bits) + batch * context * shape.cache_bytes
    if ceilings.number_format == "float32":
        read *= FLOAT32_BYTES / BF16_BYTES
    flop = 2 * (shape.layer_parameters + shape.head_parameters) + 4 * shape.layers * context * shape.width
    return batch / max(read / ceilings.bandwidth, batch * flop / ceilings.matrix_rate)


def weight_bytes(shape: Shape, weight_bits: float = BF16_BITS) -> float:
    """What one step of decoding reads of the model itself."""
    return shape.layer_parameters * weight_bits / 8 + shape.head_parameters * BF16_BYTES


def _matrices(shape: Shape, kind: str, repeats: int) -> dict[str, float]:
    rows, square = ROWS[kind], SQUARE[kind]
    sizes = {
        "square": (square, square, square),
        "attention": (rows, shape.width, shape.width),
        "up": (rows, shape.width, shape.feed_forward),
        "down": (rows, shape.feed_forward, shape.width),
    }
    return {f"{name} {n}x{k}x{m}": _matrix_rate(n, k, m, kind, repeats) for name, (n, k, m) in sizes.items()}


def _matrix_rate(n: int, k: int, m: int, kind: str, repeats: int) -> float:
    # Random numbers: on zeros a GPU draws less power and clocks higher than any model lets it.
    numbers = getattr(torch, number_format(kind))
    left = torch.randn(n, k, dtype=numbers, device=kind)
    right = torch.randn(k, m, dtype=numbers, device=kind)
    return 2 * n * k * m / _seconds(lambda: torch.mm(left, right), kind, repeats)


def _streams(kind: str, repeats: int) -> dict[str, float]:
    size_bytes = STREAM_BYTES[kind]
    source = torch.ones(size_bytes // 4, device=kind)
    target = torch.empty_like(source)
    return {
        "read": size_bytes / _seconds(source.sum, kind, repeats),
        "copy": 2 * size_bytes / _seconds(lambda: target.copy_(source), kind, repeats),
    }


def _seconds(work: Callable[[], object], kind: str, repeats: int) -> float:
    taken = []
    for _ in range(repeats + 2):  # two to warm up: memory is mapped, and libraries choose how they multiply
        _settle(kind)
        started = time.perf_counter()
        work()
        _settle(kind)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[2:])


def _settle(kind: str) -> None:
    if kind == "cuda":
        torch.cuda.synchronize()
