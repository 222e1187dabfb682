"""Sentence ends of both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_worker.protocol.sentence import sentence_ends


@pytest.mark.parametrize(
    "sentences",
    [
        ["他走了。", "她说：“好！”", "然后呢？！", "没了"],  # quotes belong to the sentence they end
        ["He left. ", "She said “no.” ", "Why?! ", "Done."],
        ["It cost 3.14 dollars. ", "Version 2.0 came."],  # decimals
        ["Dr. Smith met J. R. Smith of Smith Inc. at 5 p.m. on Jan. 3. ", "He left."],  # abbreviations and initials
        ["Listed as No. 5 in vol. 3. ", "He said no. ", "Really."],  # a number tells "No." from "no."
        ["好。\u0301", "好"][:1],  # a mark belongs to the stop before it
        ["It went on... and on. ", "Then it stopped."],  # a small letter goes on
        ["See www.example.com for more. ", "Bye."],
        ["one\n", "two\n\n", "Inc.\n", "three"],  # a line break always ends one
        ["他来了.", "她走了"],  # an ASCII stop before Chinese
        ["no end at all"],
        [],
    ],
)
def test_ends(sentences: list[str]) -> None:
    text = "".join(sentences)
    ends = sentence_ends(text)
    assert [text[start:end] for start, end in zip([0, *ends], ends, strict=False)] == sentences


@given(st.text(alphabet="ab。.!? \n”AI1"))
def test_ends_rise_to_the_end_of_the_text(text: str) -> None:
    ends = sentence_ends(text)
    assert ends == sorted(set(ends))
    assert ends[-1:] == ([len(text)] if text else [])


@pytest.mark.timeout(20)
def test_dotted_lines_take_no_long_time() -> None:
    text = "." * 500_000 + "x" + ".)" * 100_000 + "x"
    assert sentence_ends(text) == [len(text)]
