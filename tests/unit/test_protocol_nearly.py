"""Approximate matching against plain, slow definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_worker.protocol.nearly import MAX_LENGTH, closest, near_matches

WORDS = st.text(alphabet="abc1", max_size=12)


def edit_distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for index, char in enumerate(one, 1):
        diagonal, row[0] = row[0], index
        for at, against in enumerate(other, 1):
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, diagonal + (char != against))
    return row[-1]


def all_places(text: str, needle: str) -> list[int]:
    return [at for at in range(len(text)) if text.startswith(needle, at)]


@given(WORDS, WORDS)
def test_closest_is_the_least_edit_distance_of_any_part(pattern: str, text: str) -> None:
    parts = [text[start:end] for start in range(len(text)) for end in range(start + 1, len(text) + 1)]
    least = min((edit_distance(pattern, part) for part in parts), default=None)
    match = closest(pattern, text)
    if match is None:
        assert not pattern or least is None or least >= len(pattern)
    else:
        start, end, distance = match
        assert distance == least == edit_distance(pattern, text[start:end])


@given(st.text(alphabet="abcdef ", min_size=8, max_size=30), st.data())
def test_a_value_with_few_changes_is_found(value: str, data: st.DataObject) -> None:
    limit = int(len(value) * 0.15 + 1e-9)
    changed = list(value)
    for _ in range(limit):
        changed[data.draw(st.integers(0, len(value) - 1))] = "x"
    text = "-" * 40 + "".join(changed) + "-" * 40
    start, end = next(near_matches(value, text, lambda needle: all_places(text, needle)), (0, 0))
    assert bool(end) == bool(limit)
    if end:
        assert edit_distance(value, text[start:end]) <= limit


def test_the_nearest_comes_first() -> None:
    text = "Jonathan Smyths ... Jonathan Smith ... Jonathan Smithe"
    matches = [
        text[slice(*each)] for each in near_matches("Jonathan Smitt", text, lambda needle: all_places(text, needle))
    ]
    assert matches[0] == "Jonathan Smit"
    assert len(matches) == 3


def test_numbers_must_be_equal() -> None:
    text = "on the 14th of September"
    assert list(near_matches("on the 15th of September", text, lambda needle: all_places(text, needle))) == []
    assert list(near_matches("on the 14th of Septembre", text, lambda needle: all_places(text, needle))) != []


def is_nearly_in(value: str, text: str) -> bool:
    return any(near_matches(value, text, lambda needle: all_places(text, needle)))


@pytest.mark.timeout(20)
def test_a_whole_paragraph_is_not_compared_letter_by_letter() -> None:
    name = "".join(chr(97 + number * 7919 % 26) for number in range(MAX_LENGTH))
    for value, is_found in ((name, True), (name + "z", False), (name * 300, False)):
        assert is_nearly_in(value, value[:50] + "?" + value[50:]) == is_found
