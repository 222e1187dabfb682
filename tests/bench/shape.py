"""Shapes of the models that are measured, with what the arithmetic of a roofline needs to know of them."""

from dataclasses import dataclass

BF16_BYTES = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """A LLaMA without shared heads or tied embeddings. Widths are in coordinates, `context` in tokens."""

    layers: int
    width: int
    heads: int
    feed_forward: int
    vocabulary: int
    context: int

    @property
    def layer_parameters(self) -> int:
        """Of the layers' matrices: four of attention and three of the feed-forward network in each."""
        return self.layers * (4 * self.width**2 + 3 * self.width * self.feed_forward)

    @property
    def head_parameters(self) -> int:
        """Of the matrix from states to scores; the embeddings have as many."""
        return self.vocabulary * self.width

    @property
    def parameters(self) -> int:
        """All, norms included."""
        return self.layer_parameters + 2 * self.head_parameters + (2 * self.layers + 1) * self.width

    @property
    def cache_bytes(self) -> int:
        """What one token's keys and values take, in bfloat16."""
        return 2 * self.layers * self.width * BF16_BYTES


ONEKE = Shape(layers=40, width=5120, heads=40, feed_forward=13_824, vocabulary=55_296, context=4096)
"""zjunlp/OneKE as published: LLaMA 2 13B with a Chinese vocabulary."""

FIFTH = Shape(layers=8, width=1024, heads=8, feed_forward=2752, vocabulary=11_072, context=2048)
"""Each length a fifth of OneKE's, rounded to what divides by 32 (bitsandbytes needs it on a CPU with avx512_bf16):
101 M parameters in the layers."""

SMALL = Shape(layers=2, width=256, heads=4, feed_forward=704, vocabulary=4096, context=2048)
"""For a look at whether a benchmark runs at all: 3.7 M parameters."""
