"""Almost-JSON of the kinds that models write, and a promise: what stands between quotes is never changed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_worker.protocol.repair import MAX_DEPTH, Repaired, repair

WORDS = st.text(st.characters(codec="utf-8"), max_size=8)
ANSWERS = st.dictionaries(WORDS, st.lists(WORDS | st.fixed_dictionaries({"head": WORDS, "tail": WORDS}), max_size=3))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ('```json\n{"a": ["b"]}\n```', {"a": ["b"]}),  # a fence
        ('答案：{"a": ["b"]}\n以上是结果。', {"a": ["b"]}),  # prose around
        ('The set {x} gives: {"a": ["b"]}', {"a": ["b"]}),  # prose with braces
        ('\ufeff{"a": ["b"]}', {"a": ["b"]}),  # a byte order mark
        ("{'a': ['b', None, True, 3]}", {"a": ["b", None, True, 3]}),  # Python's way of writing it
        ("{'a': ['O'Brien', 'it\\'s']}", {"a": ["O'Brien", "it's"]}),  # an apostrophe is no end
        ('{"a": ["he said "hi", then left"]}', {"a": ['he said "hi", then left']}),  # a quote inside
        ("{“a“: [“b“, “c”]}", {"a": ["b", "c"]}),  # curly quotes, both ends alike or not
        ('{"a"：["b"，"c，d"]｝', {"a": ["b", "c，d"]}),  # full-width punctuation outside, kept inside
        ('{"a": ["b",], "c": [,],}', {"a": ["b"], "c": []}),  # stray commas
        ('{"a": ["b"}', {"a": ["b"]}),  # a bracket missing
        ('{"a": ["b"]]}', {"a": ["b"]}),  # a bracket too many
        ('{"a": [{"h": "b"]}', {"a": [{"h": "b"}]}),  # the bracket of the list closes the object too
        ('{"a": [..., "c"], "d": [?]}', {"a": ["c"], "d": []}),  # what is no value
        ('{"a": ["b\tc\nd"]}', {"a": ["b\tc\nd"]}),  # raw control characters
        ('[{"a": ["b"]}, {"c": ["d"]}]', {"a": ["b"], "c": ["d"]}),  # several objects
        ('{"a": ["b"]}{"a": ["c"]}', {"a": ["b"]}),  # the first answer counts
        ('"{\\"a\\": [\\"b\\"]}"', {"a": ["b"]}),  # JSON in a string
        ('{"a": ["\\u4e2d\\ud83d\\ude00\\q"],}', {"a": ["中😀\\q"]}),  # escapes, an unknown one kept
        ("x {} y", {}),  # an empty answer is an answer
        ('{"a": [007, -01.5, 5],}', {"a": ["007", "-01.5", 5]}),  # what JSON has no number for is text
        (f'{{"a": [{"9" * 5000}],}}', {"a": ["9" * 5000]}),  # Python reads no more than 4,300 digits
    ],
)
def test_mended(raw: str, value: dict[str, Any]) -> None:
    assert repair(raw) == Repaired(value, is_cut=False)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ('{"a": ["b", "c', {"a": ["b"]}),  # the half value is dropped
        ('{"a": ["b", "c"', {"a": ["b", "c"]}),  # a whole one is kept
        ('{"a": ["b"], "c', {"a": ["b"]}),  # half a key
        ('{"a": ["b"], "c": ', {"a": ["b"]}),  # a key without value
        ('{"a": [{"head": "b", "tail": "c"}, {"head": "d", "ta', {"a": [{"head": "b", "tail": "c"}, {"head": "d"}]}),
        ('{"a": [1, 2', {"a": [1]}),  # the number may have gone on
        ('{"a": [', {"a": []}),
    ],
)
def test_a_missing_end(raw: str, value: dict[str, Any]) -> None:
    assert repair(raw) == Repaired(value, is_cut=True)


@pytest.mark.parametrize("raw", ["", "nothing found", "{", "{x}", "null", "[]", '"text"', "3", '{"a', "{" * 500])
def test_no_object(raw: str) -> None:
    assert repair(raw) is None


def test_depth_is_bounded() -> None:
    repaired = repair('{"a": ' * 5000 + "1")
    assert repaired is not None
    assert json.dumps(repaired.value).count("{") <= MAX_DEPTH


@given(ANSWERS)
def test_sound_json_is_read_as_it_is(answer: dict[str, Any]) -> None:
    for raw in (json.dumps(answer, ensure_ascii=False), json.dumps(answer, indent=1)):
        assert repair(raw) == Repaired(answer, is_cut=False)


@given(ANSWERS, st.data())
def test_a_cut_answer_holds_only_values_of_the_whole(answer: dict[str, Any], data: st.DataObject) -> None:
    raw = json.dumps(answer, ensure_ascii=False)
    repaired = repair(raw[: data.draw(st.integers(0, len(raw)))])
    if repaired is not None:
        assert repaired.value.keys() <= answer.keys()
        for key, values in repaired.value.items():
            assert [each for each in values if isinstance(each, str)] == [
                each for each in answer[key][: len(values)] if isinstance(each, str)
            ]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", ["{", '{"', '"a ', "'x", "“x", '"', "\\", "[1],", '{"a":', '{"a":[', "}", ":"])
def test_a_long_answer_takes_no_long_time(piece: str) -> None:
    """A second at most; where each quote is looked after to the end, hours."""
    many = piece * (100_000 // len(piece))
    for raw in ("{" + many + "x", '{"a": [' + many, many):
        repair(raw)
