"""Which tokens wrote a value, and how sure the model was of them."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_worker.protocol.confidence import confidences


def tokens(*pieces: str) -> list[tuple[str, float]]:
    """Pieces with log-probabilities -1, -2, -3, ..."""
    return [(piece, -float(number)) for number, piece in enumerate(pieces, 1)]


def means(raw: str, pieces: list[tuple[str, float]], *values: str) -> list[float | None]:
    """The mean log-probability of each value."""
    return [None if each is None else round(math.log(each), 6) for each in confidences(raw, pieces, values)]


@pytest.mark.parametrize(
    ("pieces", "values", "expected"),
    [
        (['{"a": ["', "Bob", '"]}'], ["Bob"], [-2]),
        (['{"a": ["', "Bo", "b", '"]}'], ["Bob"], [-2.5]),  # the mean over its tokens
        (['{"a":', ' ["Bob"', "]}"], ["Bob"], [-2]),  # a token that holds more than the value
        (['{"a": ["', "Bob", '", "', "Bob", '"]}'], ["Bob", "Bob"], [-2, -4]),  # one after the other
        (['{"a": ["', "x", '", "', "Bob", '"]}'], ["Bob", "x"], [-4, None]),  # out of order
        (['{"a": ["', "Bobby", '", "', "Bob", '"]}'], ["Bob"], [-4]),  # a whole string first
        (['{"a": ["', 'he \\"x', '\\"', '"]}'], ['he "x"'], [-2.5]),  # as JSON writes it
        (['{"a": ["', "\\u4e2d", '"]}'], ["中"], [-2]),  # either way
        (['{"a": ["', "\ufffd", "\ufffd", "国", '"]}'], ["中国"], [-3]),  # a character in two unreadable pieces
        (['{"a": ["', "Bob", '"]}', "</s>"], ["Bob"], [-2]),  # an end token that the text lacks
        (['{"a": ["', "Bob", '"]}'], ["Ann", ""], [None, None]),
        (["{'a': ['", "Bob", "']}"], ["Bob"], [-2]),  # a repaired answer
        (["something else"], ["Bob"], [None]),  # tokens of another text
    ],
)
def test_located(pieces: list[str], values: list[str], expected: list[float | None]) -> None:
    raw = "".join(pieces).replace("\ufffd\ufffd", "中").replace("</s>", "").replace("something else", '{"a": ["Bob"]}')
    assert means(raw, tokens(*pieces), *values) == expected


def test_the_first_value_of_an_answer_without_tokens_is_unknown() -> None:
    assert confidences('{"a": ["Bob"]}', [], ["Bob"]) == [None]


@given(st.lists(st.text(min_size=1, max_size=6), max_size=5), st.data())
def test_every_value_of_a_sound_answer_has_a_confidence(values: list[str], data: st.DataObject) -> None:
    raw = json.dumps({"label": values}, ensure_ascii=False)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=8)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    found = confidences(raw, [(piece, -0.5) for piece in pieces], values)
    assert found == pytest.approx([math.exp(-0.5)] * len(values))


@pytest.mark.timeout(10)
def test_values_that_an_answer_writes_otherwise_take_no_long_time() -> None:
    raw = json.dumps({"label": ["Bob"] * 500_000})
    values = ["Bob", *(f"é{number}" for number in range(4_000)), "Bob"]
    found = confidences(raw, [(raw, -1.0)], values)
    assert [found.count(None), found[0], found[-1]] == [4_000, math.exp(-1), math.exp(-1)]
