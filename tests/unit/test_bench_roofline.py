"""The arithmetic of the ceilings, against figures that others published and against hand-made devices."""

import dataclasses

import pytest
from bench.roofline import (
    NF4_BITS,
    Ceilings,
    decode_tokens_per_s,
    measure,
    prefill_tokens_per_s,
    weight_bytes,
)
from bench.shape import FIFTH, ONEKE, SMALL, Shape
from hypothesis import given
from hypothesis import strategies as st

LLAMA_2_13B = Shape(layers=40, width=5120, heads=40, feed_forward=13_824, vocabulary=32_000, context=4096)
TINY = Shape(layers=1, width=2, heads=1, feed_forward=4, vocabulary=8, context=64)
"""40 parameters in the layer's matrices, 16 in the head, 8 bytes of keys and values a token."""


def device(matrix_rate: float, bandwidth: float) -> Ceilings:
    return Ceilings("made up", 1, {"square": matrix_rate, "slower": matrix_rate / 2}, {"read": bandwidth, "copy": 1.0})


def test_parameters_are_those_that_llama_2_13b_has() -> None:
    assert LLAMA_2_13B.parameters == 13_015_864_320
    assert LLAMA_2_13B.cache_bytes == 800 * 1024


def test_the_small_shapes_keep_to_what_they_promise() -> None:
    assert 100e6 < FIFTH.layer_parameters < 102e6
    for shape in (ONEKE, FIFTH, SMALL):
        widths = (shape.width, shape.feed_forward, shape.vocabulary)
        assert not any(width % 32 for width in widths)
        assert shape.width % shape.heads == 0


@pytest.mark.parametrize(
    ("batch", "context", "bits", "expected"),
    [
        # 40 and 16 weights of two bytes: 112 bytes a step at 112 bytes/s
        (1, 0, 16.0, 1.0),
        # two sequences for the same weights
        (2, 0, 16.0, 2.0),
        # 14 tokens of 8 bytes beside the weights
        (1, 14, 16.0, 0.5),
        # a quarter of the bits in the layers alone: 20 + 32 bytes
        (1, 0, 4.0, 112 / 52),
    ],
)
def test_decoding_is_bound_by_what_it_reads(batch: int, context: int, bits: float, expected: float) -> None:
    found = decode_tokens_per_s(TINY, device(1e9, 112.0), batch=batch, context=context, weight_bits=bits)
    assert found == pytest.approx(expected)


def test_numbers_of_twice_the_size_take_twice_the_reading() -> None:
    wide = dataclasses.replace(device(1e9, 112.0), number_format="float32")
    assert decode_tokens_per_s(TINY, wide, batch=1, context=14) == pytest.approx(0.25)


def test_a_large_batch_is_bound_by_its_arithmetic() -> None:
    # 2 x 56 FLOP a token at 1120 FLOP/s
    assert decode_tokens_per_s(TINY, device(1120.0, 1e9), batch=1000, context=0) == pytest.approx(10.0)


def test_a_prompt_is_bound_by_its_arithmetic() -> None:
    assert prefill_tokens_per_s(TINY, device(800.0, 1.0), context=0) == pytest.approx(10.0)
    # 2 x 1 layer x 20 tokens x width 2 more: as much again
    assert prefill_tokens_per_s(TINY, device(800.0, 1.0), context=20) == pytest.approx(5.0)


@given(
    batch=st.integers(1, 4096),
    context=st.floats(0, 4096),
    matrix_rate=st.floats(1e9, 1e16),
    bandwidth=st.floats(1e9, 1e13),
)
def test_more_at_once_is_never_slower_and_fewer_bits_never_are(
    batch: int, context: float, matrix_rate: float, bandwidth: float
) -> None:
    ceilings = device(matrix_rate, bandwidth)
    found = decode_tokens_per_s(ONEKE, ceilings, batch=batch, context=context)
    almost = found * (1 - 1e-9)  # sums and products round
    assert decode_tokens_per_s(ONEKE, ceilings, batch=batch + 1, context=context) >= almost
    assert decode_tokens_per_s(ONEKE, ceilings, batch=batch, context=context, weight_bits=NF4_BITS) >= almost
    assert decode_tokens_per_s(ONEKE, ceilings, batch=batch, context=context + 1) * (1 - 1e-9) <= found
    assert 0 < almost <= matrix_rate / (2 * ONEKE.layer_parameters)
    assert almost <= batch * bandwidth / weight_bytes(ONEKE)


def test_the_ceilings_of_this_processor_are_of_a_processor() -> None:
    found = measure(SMALL, device="cpu", threads=1, repeats=1)
    # One core of the last fifteen years multiplies at 1 to 10,000 GFLOP/s and reads at 0.5 to 500 GB/s.
    assert all(1e9 < rate < 1e13 for rate in found.matrices.values())
    assert all(5e8 < rate < 5e11 for rate in found.streams.values())
    assert found.matrix_rate == max(found.matrices.values())
    assert found.bandwidth == max(found.streams.values())
    assert (found.device, found.threads) == ("cpu", 1)
