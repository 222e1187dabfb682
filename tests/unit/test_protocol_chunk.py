"""Chunks cover the text, fit the budget as measured, and are cut where a reader would."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluice_schemas.errors import BadInput
from sluice_worker.protocol.chunk import Chunk, chunk
from sluice_worker.protocol.cluster import MAX_CLUSTER, joins

FAMILY = "👩\u200d👩\u200d👧"
PARTS = st.text(alphabet=f"ab中文，。.,! \n\r{FAMILY}e\u0301👍🏽", min_size=1, max_size=20)
# A part over and over: texts of many chunks are rare among random ones.
TEXTS = st.builds(lambda parts, times: "".join(parts) * times, st.lists(PARTS, max_size=6), st.integers(1, 12))


def words(text: str) -> int:
    """A token a word and a few for the frame: more for the parts of a text than for the whole."""
    return 1 + len(text.split()) + sum("\u4e00" <= char <= "\u9fff" for char in text)


def crowded(text: str) -> int:
    """More for the whole than for its parts."""
    return len(text) ** 2 // 64


def in_bytes(text: str) -> int:
    return math.ceil(len(text.encode()) / 4)


def cluster_length(text: str, position: int) -> int:
    """How long the cluster is that goes on at `position`."""
    start = end = position
    while joins(text, start):
        start -= 1
    while joins(text, end):
        end += 1
    return end - start


def of_text(text: str, chunks: list[Chunk]) -> bool:
    return all(each.text == text[each.start : each.end] for each in chunks)


def test_a_text_that_fits_is_one_chunk() -> None:
    assert chunk("One. Two.", measure=len, max_tokens=9) == [Chunk(0, 9, "One. Two.")]
    assert chunk("One. Two. Three.", measure=words, max_tokens=4) == [Chunk(0, 16, "One. Two. Three.")]
    assert chunk("", measure=len, max_tokens=9) == []


@pytest.mark.parametrize(
    ("text", "max_tokens", "overlap_tokens", "parts"),
    [
        (
            "他走了。她也走了。他们在路上。",
            9,
            0,
            ["他走了。她也走了。", "他们在路上。"],
        ),  # whole sentences, as many as fit
        ("One. Two. Three. Four.", 12, 5, ["One. Two. ", "Two. Three. ", "Four."]),  # overlap only where it fits
        ("One. Two. Three. Four.", 17, 7, ["One. Two. Three. ", "Three. Four."]),
        ("a, bb, ccc, dddd", 8, 0, ["a, bb, ", "ccc, ", "dddd"]),  # a long sentence behind its commas
        ("aaa bbb ccc", 8, 0, ["aaa bbb ", "ccc"]),  # else behind white space
        ("aaaaaaaaaa", 4, 0, ["aaaa", "aaaa", "aa"]),  # else anywhere
        ("ae\u0301e\u0301", 2, 0, ["a", "e\u0301", "e\u0301"]),  # but not inside a character
        ("aaaa \u0301aaaa", 6, 0, ["aaaa \u0301", "aaaa"]),  # nor before a mark that stands on a space
        (f"a{FAMILY}{FAMILY}", 6, 0, ["a" + FAMILY, FAMILY]),
    ],
)
def test_cuts(text: str, max_tokens: int, overlap_tokens: int, parts: list[str]) -> None:
    chunks = chunk(text, measure=len, max_tokens=max_tokens, overlap_tokens=overlap_tokens)
    assert [each.text for each in chunks] == parts
    assert of_text(text, chunks)


@pytest.mark.parametrize("measure", [len, words, crowded, in_bytes])
@given(text=TEXTS, max_tokens=st.integers(33, 60), share=st.floats(0, 0.5))
@example(text="a\u200da\u200da\u0301\u200d" * 5, max_tokens=33, share=0.0)
def test_chunks_cover_the_text_and_fit(measure: Callable[[str], int], text: str, max_tokens: int, share: float) -> None:
    chunks = chunk(text, measure=measure, max_tokens=max_tokens, overlap_tokens=int(max_tokens * share))
    assert of_text(text, chunks)
    assert all(measure(each.text) <= max_tokens for each in chunks)
    ends = [0, *(each.end for each in chunks)]
    assert ends[-1] == len(text)
    assert all(each.start <= before < each.end for each, before in zip(chunks, ends, strict=False))
    starts = [each.start for each in chunks]
    assert starts == sorted(set(starts))
    within = [each.end for each in chunks if each.end - each.start > 1 and joins(text, each.end)]
    assert all(cluster_length(text, end) > MAX_CLUSTER for end in within), "only what is no writing may be cut"


@given(st.text(alphabet="ab。 \n", min_size=1, max_size=300), st.integers(4, 30))
def test_overlap_is_whole_sentences_within_its_budget(text: str, max_tokens: int) -> None:
    chunks = chunk(text, measure=len, max_tokens=max_tokens, overlap_tokens=max_tokens // 2)
    for before, after in pairwise(chunks):
        assert before.end - after.start <= max_tokens // 2


def test_measuring_is_linear() -> None:
    seen = 0

    def measure(text: str) -> int:
        nonlocal seen
        seen += len(text)
        return math.ceil(len(text) / 3) + 2 * text.count("7")

    for text in ("A sentence of words, with 777. " * 6000, "中文没有空格" * 30_000, "7" * 20_000 + "x" * 160_000):
        seen = 0
        assert len(chunk(text, measure=measure, max_tokens=200, overlap_tokens=50)) > 100
        assert seen < 8 * len(text)


@pytest.mark.parametrize(
    ("max_tokens", "overlap_tokens", "words_of_error"),
    [
        (0, 0, "at least one token"),
        (8, 5, "at most half a chunk"),
        (8, -1, "at most half a chunk"),
        (3, 0, "character at 3 takes 4 tokens"),
    ],
)
def test_limits_that_cannot_hold(max_tokens: int, overlap_tokens: int, words_of_error: str) -> None:
    with pytest.raises(BadInput, match=words_of_error):
        chunk("abc😀", measure=lambda text: len(text.encode()), max_tokens=max_tokens, overlap_tokens=overlap_tokens)


def test_stacked_marks_are_no_writing_and_may_be_cut() -> None:
    text = "e" + "\u0301" * 500
    chunks = chunk(text, measure=len, max_tokens=100)
    assert [each.end for each in chunks] == [100, 200, 300, 400, 501 - 1, 501]
    assert MAX_CLUSTER < 100


@pytest.mark.timeout(30)
def test_blank_text_takes_no_long_time() -> None:
    text = "a" + " " * 200_000 + "b"
    assert of_text(text, chunk(text, measure=len, max_tokens=100_000))
