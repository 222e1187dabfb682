"""The normal form keeps the way back to the original, and is the same for a part by itself."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_worker.protocol.normal import normal

TEXTS = st.text(max_size=40) | st.text(
    alphabet='aÀe\u0301 \n\u3000’"—ﬁß…㍿ｶﾞ👩\u200d👧🏽가\u1100\u1161中Ａ', max_size=40
)


def test_what_counts_as_equal() -> None:
    assert normal("Ａ\u3000\n B").text == "a b"
    assert normal("“l’été”—ﬁn…").text == '"l\'été"-fin...'


def test_nothing_is_taken_away() -> None:
    assert normal("a\u200bb.c_d").text == "a\u200bb.c_d"


def test_the_way_back() -> None:
    whole = normal("xﬁ\u3000 É")
    assert whole.text == "xfi é"
    assert [whole.span(*each) for each in ((0, 1), (1, 3), (3, 4), (4, 5), (0, 5))] == [
        (0, 1),
        (1, 2),
        (2, 4),
        (4, 5),
        (0, 5),
    ]
    assert whole.span(1, 2) is None
    assert whole.span(2, 4) is None


@given(TEXTS)
def test_characters_tile_the_text(text: str) -> None:
    whole = normal(text)
    assert len(whole.text) == len(whole.starts)
    assert list(whole.starts) == sorted(whole.starts)
    if text:
        assert whole.starts[0] == 0
        assert whole.span(0, len(whole.text)) == (0, len(text))


@given(TEXTS, st.integers(0, 40), st.integers(0, 40))
def test_a_part_has_the_same_form_by_itself(text: str, start: int, end: int) -> None:
    whole = normal(text)
    end = min(end, len(whole.text))
    if start < end and (span := whole.span(start, end)):
        assert normal(text[slice(*span)]).text == whole.text[start:end]


@given(TEXTS)
def test_composed_and_decomposed_are_equal(text: str) -> None:
    assert normal(unicodedata.normalize("NFC", text)).text == normal(unicodedata.normalize("NFD", text)).text


@pytest.mark.timeout(20)
def test_stacked_marks_take_no_long_time() -> None:
    """Python sorts the marks of one character by comparing each with each, so that there must not be many."""
    text = "a" + "\u0301\u0316" * 200_000
    assert normal(text).span(0, len(normal(text).text)) == (0, len(text))
