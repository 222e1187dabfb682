"""Whatever the bytes, a decoder answers or raises one of our own errors; `python -m fuzz` looks longer and deeper."""

import pytest
from fuzz.mutations import mutated
from fuzz.targets import TARGETS, Target
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = 250
SIZE_BYTES = 30_000
GROWING = ("[", "{", '{"a":', '{"a ', '"', "\\", ". ", "[1],", '{"person":["b",', "1:", "- ", "\u0301\u0316", "\n")

every = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
few = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@every
def test_valid_input_is_read(target: Target) -> None:
    for seed in target.seeds:
        target.decode(seed)


@every
@few
@given(raw=st.binary(max_size=200))
def test_random_bytes(target: Target, raw: bytes) -> None:
    target.feed(raw)


@every
@few
@given(data=st.data())
def test_valid_input_with_faults(target: Target, data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(target.seeds))
    target.feed(mutated(raw, data.draw(st.randoms(use_true_random=False))))


@pytest.mark.timeout(30)
@every
def test_no_input_takes_the_square_of_its_length(target: Target) -> None:
    """A second or so; what looks at each character once for each other takes minutes."""
    for piece in GROWING:
        many = piece * (SIZE_BYTES // len(piece))
        for raw in (many, "{" + many + "x"):
            target.feed(raw.encode())
