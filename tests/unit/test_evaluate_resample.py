"""The bootstrap where its answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_worker.evaluation.counting import Row
from sluice_worker.evaluation.resample import difference, intervals

rows = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)).map(
    lambda each: (min(each), max(each[0], min(each)), max(each[1], min(each)))
)


def test_equal_documents_leave_no_doubt() -> None:
    found = intervals([(1, 2, 4)] * 50)
    assert found
    assert (found.precision, found.recall, found.f1) == ((50.0, 50.0), (25.0, 25.0), (33.33, 33.33))


def test_a_share_has_the_interval_of_its_binomial() -> None:
    """Recall of one fact a document is a mean of coin throws: 95 % lie within 1.96 standard errors."""
    found = intervals([(1, 1, 1)] * 240 + [(0, 0, 1)] * 160)
    error = 100 * np.sqrt(0.6 * 0.4 / 400)
    assert found
    assert found.recall == pytest.approx((60 - 1.96 * error, 60 + 1.96 * error), abs=0.6)
    assert found.precision == (100.0, 100.0)


def test_more_documents_leave_less_doubt() -> None:
    few, many = (intervals([(1, 1, 1), (0, 1, 1)] * times) for times in (5, 500))
    assert few
    assert many
    assert many.f1[1] - many.f1[0] < (few.f1[1] - few.f1[0]) / 5


@pytest.mark.parametrize("given_rows", [[], [(1, 1, 1)]])
def test_fewer_than_two_documents_have_no_interval(given_rows: list[Row]) -> None:
    assert intervals(given_rows) is None
    assert difference(given_rows, given_rows).interval is None


@given(st.lists(rows, min_size=2, max_size=20))
def test_a_file_against_itself_differs_nowhere(given_rows: list[Row]) -> None:
    found = difference(given_rows, given_rows)
    assert (found.gain, found.interval, found.better_share, found.equal_share) == (0.0, (0.0, 0.0), 0.0, 1.0)


def test_a_clearly_better_file_has_an_interval_above_zero() -> None:
    worse = [(0, 2, 2), (1, 2, 2)] * 50
    found = difference(worse, [(2, 2, 2)] * 100)
    assert (found.here, found.there, found.gain) == (25.0, 100.0, 75.0)
    assert found.interval
    assert found.interval[0] > 60
    assert (found.better_share, found.equal_share) == (1.0, 0.0)


def test_pairing_sees_a_small_gain_on_every_document() -> None:
    """The documents differ widely, so that unpaired intervals overlap; each one is a little better."""
    here = [(1, 10, 10), (8, 10, 10)] * 30
    there = [(2, 10, 10), (9, 10, 10)] * 30
    alone, other, found = intervals(here), intervals(there), difference(here, there)
    assert alone
    assert other
    assert alone.f1[1] > other.f1[0]
    assert found.interval == (10.0, 10.0)


def test_the_better_file_changes_sides_when_the_files_do() -> None:
    here: list[Row] = [(1, 1, 1), (0, 1, 1), (1, 2, 1)] * 5
    there: list[Row] = [(0, 1, 1), (1, 1, 1), (1, 1, 1)] * 5
    one, two = difference(here, there), difference(there, here)
    assert one.gain == -two.gain
    assert one.better_share == pytest.approx(1 - two.better_share - two.equal_share)


def test_the_same_documents_give_the_same_interval() -> None:
    given_rows: list[Row] = [(1, 1, 1), (0, 1, 2), (2, 3, 3)] * 9
    assert intervals(given_rows) == intervals(given_rows[:])
