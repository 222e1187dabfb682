"""Reading answers: the strict rules beyond what the recorded vectors show, and what `parse` adds for use."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_schemas.schema import Task
from sluice_worker.protocol.parse import Parsed, parse, parse_strict
from sluice_worker.protocol.records import (
    EntityRecord,
    EventRecord,
    NodeRecord,
    Record,
    RelationRecord,
    label_of,
    triples_of,
    values_of,
)

TASKS: tuple[Task, ...] = ("NER", "RE", "SPO", "EE", "EET", "EEA", "KG")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.parametrize(
    ("task", "raw", "record"),
    [
        ("NER", '{"人物": ["胡"]}', EntityRecord("胡", "人物")),
        ("RE", '{"r": [{"head": "a", "tail": "b"}]}', RelationRecord("a", "r", "b")),
        ("RE", '{"r": [{"subject": "a", "object": "b"}]}', RelationRecord("a", "r", "b")),  # the released data's keys
        ("SPO", '{"p": [{"subject": "a", "object": "b"}]}', RelationRecord("a", "p", "b")),
        ("SPO", '{"p": [{"head": "a", "tail": "b"}]}', RelationRecord("a", "p", "b")),
        ("EET", '{"t": ["x"]}', EventRecord("t", "x")),
        (
            "EE",
            '{"t": [{"trigger": "x", "arguments": {"r": ["a", "NAN"], "s": "NAN"}}]}',
            EventRecord("t", "x", (("a", "r"),)),
        ),
        ("KG", '{"p": {"h": {"k": ["v", "无"], "l": "nan"}}}', NodeRecord("h", "p", (("v", "k"),))),
        ("KG", '{"p": {"h": {}}}', NodeRecord("h", "p")),  # an entity without attributes is one
    ],
)
def test_both_modes_read(task: Task, raw: str, record: Record) -> None:
    assert parse_strict(task, raw) == Parsed("strict", (record,))
    assert parse(task, raw) == Parsed("strict", (record,))


@pytest.mark.parametrize(
    ("task", "raw"),
    [
        ("EE", '{"t": [{"trigger": "x", "arguments": null}]}'),  # the original crashes here, on the next three, too
        ("EE", '{"t": [{"trigger": "x", "arguments": []}]}'),
        ("EEA", '{"t": [{"trigger": "x", "arguments": "NAN"}]}'),
        ("KG", '{"p": {"h": {"k": [3, null]}}}'),
    ],
)
def test_strict_survives_what_crashes_the_original(task: Task, raw: str) -> None:
    (record,) = parse_strict(task, raw).records
    assert record in (EventRecord("t", "x"), NodeRecord("h", "p"))


@pytest.mark.parametrize(
    "raw",
    [
        "[" * 100_000,  # deeper than the parser can go
        '{"a": ' * 100_000,
        '{"a": ' + "9" * 5000 + "}",  # more digits than Python reads
        '{"a": ["b"]} x',
        "\ufeff{}",
    ],
)
def test_strict_takes_nothing_but_json(raw: str) -> None:
    assert parse_strict("NER", raw) == Parsed("unparsed")


def test_what_is_left_out_is_named() -> None:
    assert parse("NER", '{"x": "str", "y": ["a", 1, " "]}') == Parsed(
        "strict", (EntityRecord("a", "y"),), ("x: not a list", "y[1]: not a string", "y: an unusable value")
    )


@pytest.mark.parametrize(
    ("task", "raw", "records"),
    [
        ("RE", '{"r": [{"head": "a"}]}', ()),  # scored as ("a", "r", ""), of no use
        ("EE", '{"t": [{"trigger": "NAN", "arguments": {"r": "a"}}]}', (EventRecord("t", "", (("a", "r"),)),)),
        ("EE", '{"t": [{"trigger": "NAN", "arguments": {}}]}', ()),  # says nothing
        (
            "EE",
            '{"t": [{"trigger": "x", "arguments": {"r": 3, "s": null, "u": true, "v": NaN}}]}',
            (EventRecord("t", "x", (("3", "r"),)),),
        ),
        ("NER", '{"x": ["\\ud83d", "b"]}', (EntityRecord("b", "x"),)),  # half a character cannot be stored
        ("KG", '{"p": {"": {"k": "v"}, "h": {"k": ""}}}', (NodeRecord("h", "p"),)),
        (
            "EE",
            '{"t": [{"trigger": "x", "arguments": {"\\ud83d": "a", "r": "b"}}]}',
            (EventRecord("t", "x", (("b", "r"),)),),
        ),
    ],
)
def test_parse_keeps_only_what_can_stand_in_a_text(task: Task, raw: str, records: tuple[Record, ...]) -> None:
    assert parse(task, raw).records == records
    assert parse(task, raw).how == "strict"


def test_a_whole_number_may_be_larger_than_any_float() -> None:
    raw = '{"t": [{"trigger": "x", "arguments": {"r": ' + "9" * 400 + "}}]}"
    assert parse("EE", raw).records == (EventRecord("t", "x", (("9" * 400, "r"),)),)


@pytest.mark.timeout(20)
def test_a_long_label_is_not_repeated_for_each_part_that_is_left_out() -> None:
    parsed = parse("NER", f'{{"{"x" * 100_000}": [{"1," * 100_000}1]}}')
    assert len(parsed.skipped) == 100_001
    assert len(parsed.skipped[0]) < 120


@pytest.mark.parametrize("raw", ['{"x": ["a", 007]}', '{"x": ["a", ' + "9" * 5000 + "]}"])
def test_numbers_that_json_does_not_have_stop_nothing(raw: str) -> None:
    assert EntityRecord("a", "x") in parse("NER", raw).records


def test_flat_roles_of_eea_count_as_repaired() -> None:
    raw = '{"t": [{"trigger": "x", "r": "a", "s": ["b", "NAN"]}, {"u": "c"}]}'
    assert parse("EEA", raw) == Parsed(
        "repaired", (EventRecord("t", "x", (("a", "r"), ("b", "s"))), EventRecord("t", "", (("c", "u"),)))
    )
    assert parse_strict("EEA", raw).records == (EventRecord("t", "x"), EventRecord("t", ""))
    assert parse("EE", raw).how == "strict"


def test_how_says_which_mode_read_it() -> None:
    assert parse("NER", '{"x": ["a"],}').how == "repaired"
    assert parse("NER", "I found nothing.") == Parsed("unparsed")
    assert not parse("NER", "").ok


@given(st.sampled_from(TASKS), JSON)
def test_any_json_is_read_without_error(task: Task, value: object) -> None:
    raw = json.dumps(value)
    assert parse_strict(task, raw).ok == isinstance(value, dict)
    for record in parse(task, raw).records:
        assert all(each.strip() and each.encode() for each in values_of(record))


@given(st.sampled_from(TASKS), st.text(alphabet="{}[]\"':,，“”ab1\\ \n"))
def test_any_text_is_read_without_error(task: Task, raw: str) -> None:
    parse(task, raw)


def test_records_tell_their_label_and_values() -> None:
    event, node = EventRecord("t", "x", (("a", "r"),)), NodeRecord("h", "p", (("v", "k"), ("w", "k")))
    assert [label_of(each) for each in (EntityRecord("a", "e"), RelationRecord("a", "r", "b"), event, node)] == list(
        "ertp"
    )
    assert [values_of(EntityRecord("a", "e")), values_of(RelationRecord("a", "r", "b"))] == [("a",), ("a", "b")]
    assert [values_of(event), values_of(EventRecord("t", "")), values_of(node)] == [("x", "a"), (), ("h", "v", "w")]
    assert triples_of(node) == (("h", "k", "v"), ("h", "k", "w"))
