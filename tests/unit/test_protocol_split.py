"""How labels are cut into requests: as trained, in order, none lost and none twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_schemas.errors import BadInput
from sluice_worker.protocol.split import split


@pytest.mark.parametrize(
    ("count", "k", "sizes"),
    [
        (3, 6, [3]),  # fewer than asked at once
        (6, 6, [6]),  # just as many
        (8, 6, [8]),  # a rest below half joins
        (9, 6, [6, 3]),  # a rest of half stands alone
        (12, 6, [6, 6]),  # no rest
        (14, 6, [6, 8]),  # the last chunk takes the rest
        (3, 1, [1, 1, 1]),  # one by one
        (5, 4, [5]),  # a rest of one
        (200, -1, [200]),  # all at once
        (0, 4, [0]),  # nothing to ask is one empty request
    ],
)
def test_the_sizes(count: int, k: int, sizes: list[int]) -> None:
    assert [len(part) for part in split(range(count), k)] == sizes


@pytest.mark.parametrize("k", [0, -2])
def test_a_number_that_means_nothing(k: int) -> None:
    with pytest.raises(BadInput, match=f"split_num is {k}; use a positive number"):
        split(["a"], k)


@given(st.lists(st.integers(), min_size=1, max_size=60), st.integers(1, 12))
def test_every_label_is_asked_once_in_order(labels: list[int], k: int) -> None:
    parts = split(labels, k)
    assert [label for part in parts for label in part] == labels
    assert all(part for part in parts)
    assert all(len(part) <= max(k, k + k // 2 - 1) for part in parts)
