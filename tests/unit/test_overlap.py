"""Flat schemas: of entities that overlap the surest is kept, and nothing is lost without a word."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_schemas.extraction import Mention, Span
from sluice_worker.overlap import flat


def mention(start: int, end: int, sure: float | None, kind: str = "p") -> Mention:
    return Mention(
        text="x" * (end - start), type=kind, span=Span(start=start, end=end), status="exact", confidence=sure
    )


NOWHERE = Mention(text="gone", type="p", confidence=0.1)
PLACES = st.tuples(st.integers(0, 30), st.integers(1, 8), st.none() | st.floats(0, 1)).map(
    lambda given: mention(given[0], given[0] + given[1], given[2])
)


@pytest.mark.parametrize(
    ("given_mentions", "kept"),
    [
        ([mention(0, 3, 0.5), mention(3, 5, 0.4)], [0, 1]),  # neighbours do not overlap
        ([mention(0, 3, 0.5), mention(2, 5, 0.9)], [1]),  # the surer one
        ([mention(0, 3, 0.5, "p"), mention(0, 3, 0.6, "q")], [1]),  # one place, two types
        ([mention(0, 9, 0.5), mention(2, 4, 0.9), mention(5, 7, 0.8)], [1, 2]),  # two within one
        ([mention(2, 4, 0.5), mention(0, 9, 0.5)], [1]),  # equally sure: the longer one
        ([mention(0, 3, None), mention(0, 3, None, "q")], [0]),  # the engine says nothing: the first
        ([NOWHERE, mention(0, 3, 0.9), NOWHERE], [0, 1, 2]),  # what stands nowhere overlaps nothing
        # the second loses to the first, so it cannot push the third away
        ([mention(0, 4, 0.9), mention(3, 7, 0.8), mention(6, 9, 0.7)], [0, 2]),
    ],
)
def test_the_surest_is_kept(given_mentions: list[Mention], kept: list[int]) -> None:
    found, left_out = flat(given_mentions)
    assert found == [given_mentions[index] for index in kept]
    assert left_out == [each for index, each in enumerate(given_mentions) if index not in kept]


def overlap(one: Mention, other: Mention) -> bool:
    return bool(one.span and other.span and one.span.start < other.span.end and other.span.start < one.span.end)


@given(st.lists(PLACES, max_size=25))
def test_nothing_kept_overlaps_and_what_is_left_out_met_a_surer_one(mentions: list[Mention]) -> None:
    kept, left_out = flat(mentions)
    assert not any(overlap(one, other) for one, other in combinations(kept, 2))
    assert len(kept) + len(left_out) == len(mentions)
    for each in left_out:
        assert any(overlap(each, other) and (other.confidence or 0) >= (each.confidence or 0) for other in kept)
