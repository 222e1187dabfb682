"""The pieces of a text that a result carries: each holds its value, and together they are about the text."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_schemas.extraction import Span
from sluice_worker.passages import CELL_CHARS, passages

TEXTS = st.text(alphabet="ab .。！\n中文é\u0301😀", min_size=1, max_size=3000)


@given(text=TEXTS, data=st.data())
def test_each_span_lies_in_a_passage_that_is_the_text(text: str, data: st.DataObject) -> None:
    starts = data.draw(st.lists(st.integers(0, len(text) - 1), max_size=20))
    spans = [Span(start=start, end=data.draw(st.integers(start + 1, len(text)))) for start in starts]
    found = passages(text, spans)
    assert all(each.text == text[each.start : each.end] for each in found)
    for span in spans:
        assert any(each.start <= span.start and span.end <= each.end for each in found)
    assert [*found] == sorted(found, key=lambda each: (each.start, each.end))


def test_a_sentence_stands_once_however_many_values_it_has() -> None:
    text = "Nothing here. Ada met Bo in Rome. 后来她去了伦敦。"
    spans = [Span(start=start, end=start + 2) for start in (14, 22, 28, 38)]
    assert [each.text for each in passages(text, spans)] == ["Ada met Bo in Rome. ", "后来她去了伦敦。"]


def test_a_text_without_full_stop_gives_what_stands_around_a_value() -> None:
    text = "word " * 20_000
    found = passages(text, [Span(start=start, end=start + 4) for start in range(0, len(text), 5)])
    assert max(each.end - each.start for each in found) <= 4 * CELL_CHARS
    assert sum(each.end - each.start for each in found) <= 4 * len(text)


def test_no_character_is_cut_in_two() -> None:
    text = "e\u0301" * 3000
    for each in passages(text, [Span(start=start, end=start + 1) for start in range(0, 6000, 7)]):
        assert not each.text.startswith("\u0301")
        assert each.end == len(text) or text[each.end] == "e"
