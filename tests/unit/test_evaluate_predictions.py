"""Prediction files into documents: what is one document, what is a bad line, and that no JSON stops the run."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from sluice_schemas.schema import Task
from sluice_worker.evaluation import counting, table
from sluice_worker.evaluation.outcome import Outcome, as_text, scored
from sluice_worker.evaluation.predictions import Predictions, named_tasks, read
from sluice_worker.evaluation.rules import Match, Rules
from sluice_worker.protocol.json_text import exact
from sluice_worker.protocol.parse import parse_strict
from sluice_worker.protocol.records import EntityRecord, EventRecord, RelationRecord

INSTRUCTION = json.dumps({"instruction": "i", "schema": ["p"], "input": "Ann met Bob."})
LABEL = json.dumps([{"entity": "Ann", "entity_type": "p"}])


def line(**changed: Any) -> bytes:
    """A good line, changed; a field that is `...` is left out."""
    fields = {"id": "1", "source": "s", "instruction": INSTRUCTION, "label": LABEL, "output": '{"p": ["Ann"]}'}
    return json.dumps({name: value for name, value in {**fields, **changed}.items() if value is not ...}).encode()


def ner(*lines: bytes, sort_by: str = "") -> Predictions:
    return read(lines, task="NER", parse=parse_strict, sort_by=sort_by)


def test_lines_of_one_source_and_id_are_one_document_with_the_first_gold() -> None:
    other = json.dumps([{"entity": "Bob", "entity_type": "p"}])
    found = ner(line(), line(output="no JSON"), line(output='{"p": ["Ann", "Bob"]}', label=other), line(source="t"))
    first, second = found.documents.values()
    assert first.gold == second.gold == [EntityRecord("Ann", "p")]
    assert first.said == [EntityRecord("Ann", "p"), EntityRecord("Ann", "p"), EntityRecord("Bob", "p")]
    assert (first.outputs, first.unparsed, second.outputs) == (3, 1, 1)
    assert (found.other_labels, found.repeated, found.bad_lines) == (1, 2, [])


def test_an_absent_source_is_the_source_called_none() -> None:
    found = ner(line(source=...), line(source=None), line(source="None"), sort_by="source")
    assert [(key, each.group) for key, each in found.documents.items()] == [(("None", "1"), "None")]


def test_documents_are_grouped_by_any_field() -> None:
    found = ner(line(id="a", lang="zh"), line(id="b"), line(id="c", lang=3), sort_by="lang")
    assert [each.group for each in found.documents.values()] == ["zh", "None", "3"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"{", "not JSON"),  # half a line
        (b"[1]", "not an object"),  # JSON, but no fields
        (b'{"a": "\xff"}', "byte 7 of it is not UTF-8"),  # another encoding
        (b"[" * 100_000, "not JSON"),  # deeper than any reader goes
        (line(id=...), "no `id`"),  # missing
        (line(output=None), "no `output`"),  # null: the original stops here
        (line(output={"p": []}), "`output` is no string"),  # an object in place of its JSON
        (line(id=1.5), "`id` is no string"),  # no name for a document
        (line(source=7), "`source` is no string"),  # neither
        (line(instruction="extract"), "instruction is not JSON"),
        (line(instruction='{"schema": []}'), "no `input` text"),
        (line(label="Ann"), "label is not JSON"),
        (line(label='{"p": ["Ann"]}'), "not a JSON list of objects"),  # an answer in place of an annotation
        (line(label='["Ann"]'), "not a JSON list of objects"),
        (line(label='[{"entity_type": "p"}]'), "no `entity`"),
        (line(label='[{"entity": "Ann", "entity_type": 7}]'), "no `entity_type` that is a string"),
    ],
)
def test_a_bad_line_is_told_and_the_rest_counts(bad: bytes, said: str) -> None:
    found = ner(line(), b"\n", bad, line(id="2"))
    assert len(found.documents) == 2
    (fault,) = found.bad_lines
    assert str(fault).startswith("line 3: ")
    assert said in fault.fault
    assert "Ann" not in fault.fault


@pytest.mark.parametrize(
    ("task", "item", "said"),
    [
        ("EE", {"event_type": "e", "event_trigger": "t"}, "`arguments` list"),
        ("EE", {"event_type": "e", "arguments": []}, "no `event_trigger`"),
        ("EE", {"event_type": "e", "event_trigger": "t", "arguments": [{"role": "r"}]}, "no `argument`"),
        ("EE", {"event_type": "e", "event_trigger": "t", "arguments": [{"argument": "a"}]}, "no `role`"),
        ("EET", {"event_type": "e"}, "no `event_trigger`"),
        ("EEA", {"event_type": "e", "arguments": "a"}, "`arguments` list"),
        ("RE", {"head": "h", "relation": None, "tail": "t"}, "no `relation` that is a string"),
    ],
)
def test_gold_without_what_its_task_needs(task: Task, item: dict[str, Any], said: str) -> None:
    found = read([line(label=json.dumps([item]))], task=task, parse=parse_strict)
    assert said in found.bad_lines[0].fault


EVENT = {"event_type": "e", "event_trigger": "t", "arguments": [{"argument": "a", "role": "r"}]}


@pytest.mark.parametrize(
    ("task", "item", "record"),
    [
        ("RE", {"head": "h", "relation": "r"}, RelationRecord("h", "r", "")),  # what is missing is ""
        ("SPO", {"head": "h", "head_type": "x", "relation": "r", "tail": "t"}, RelationRecord("h", "r", "t")),
        ("KG", {}, RelationRecord("", "", "")),
        ("EE", EVENT, EventRecord("e", "t", (("a", "r"),))),
        ("EET", EVENT, EventRecord("e", "t")),  # its arguments are not asked
        ("EEA", EVENT, EventRecord("e", "", (("a", "r"),))),  # its trigger is given
    ],
)
def test_gold_of_each_task(task: Task, item: dict[str, Any], record: Any) -> None:
    found = read([line(label=json.dumps([item]))], task=task, parse=parse_strict)
    assert [each.gold for each in found.documents.values()] == [[record]]


def test_a_byte_order_mark_half_characters_and_nan_are_no_faults() -> None:
    found = ner(b"\xef\xbb\xbf" + line(), line(id="2", output='{"p": ["\\ud800"]}', share=float("nan")))
    assert [each.said for each in found.documents.values()] == [
        [EntityRecord("Ann", "p")],
        [EntityRecord("\ud800", "p")],
    ]


def test_a_label_that_cannot_be_read_is_bad_in_a_later_line_too() -> None:
    found = ner(line(), line(label="["))
    assert (found.bad_lines[0].number, [each.outputs for each in found.documents.values()]) == (2, [1])


def test_the_tasks_that_lines_name() -> None:
    assert named_tasks([line(task="RE"), line(), b"{", line(task=3), line(task="EE")]) == {"RE", "EE"}


def test_lines_of_another_task_are_counted_and_told() -> None:
    found = ner(line(task="NER"), line(task="RE"), line())
    assert found.other_tasks == 1
    assert found.documents["s", "1"].outputs == 3


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=6,
)
names = st.sampled_from(
    ["entity", "entity_type", "head", "relation", "tail", "event_type", "event_trigger", "arguments"]
)
facts = st.lists(st.dictionaries(names, anything) | anything, max_size=3)
events = st.fixed_dictionaries({"trigger": anything, "arguments": anything})
answers = st.dictionaries(st.text(max_size=3), st.lists(events | anything, max_size=3) | anything, max_size=3)
likely = st.fixed_dictionaries(
    {"id": st.just("1"), "instruction": st.just(INSTRUCTION), "label": facts.map(json.dumps)},
    optional={"source": anything, "output": answers.map(json.dumps) | anything, "lang": anything},
)


every_rules = st.builds(
    Rules,
    st.sampled_from(get_args(Task)),
    st.sampled_from(get_args(Match)),
    is_clean=st.booleans(),
    is_lenient=st.booleans(),
)


@settings(max_examples=40)
@given(lines=st.lists(anything | likely, max_size=3), rules=every_rules)
def test_no_json_stops_the_run(lines: list[Any], rules: Rules) -> None:
    raw = [json.dumps(each).encode() for each in lines]
    predictions = read(raw, task=rules.task, parse=rules.parse, sort_by="lang")
    outputs = sum(each.outputs for each in predictions.documents.values())
    assert outputs + len(predictions.bad_lines) == len(lines)
    counts = counting.count(predictions, rules.claims)
    whole, groups = counting.total(predictions, counts), counting.sections(predictions, counts)
    assert sum(each.documents for each in groups) == whole.documents == len(predictions.documents)
    parts = [scored(each) for each in groups]
    outcome = Outcome(Path("given.jsonl"), rules, predictions, scored(whole), parts, counts)
    assert json.loads(as_text(outcome.as_json(), indent=1))["documents"] == whole.documents
    table.show(Console(file=io.StringIO()), outcome)


def outcome_of(read_text: Callable[[str], Any], text: str) -> str:
    try:
        value = read_text(text)
    except RecursionError:
        return "too deep"
    except ValueError:
        return "not JSON"
    return repr(value)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity, -Infinity]",
        "1e999",
        "-1e999",
        "18446744073709551615",  # the last that 64 bits hold
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "[" + "9" * 40 + "]",
        "9" * 5_000,  # more digits than Python reads
        "1." + "9" * 30,
        "-0",
        '{"a": 1, "b": 2, "a": 3}',
        '"\\ud800"',
        '"\ud800"',
        '"\\ud83d\\ude00"',
        '"\\ud83dx"',
        "[" * 2_000 + "]" * 2_000,
        "[" * 1_010 + "]" * 1_010,  # deeper than the standard reader goes, not than the fast one
        "[" * 500 + "]" * 500,
        "\ufeff{}",
        "\u00a0{}",
        "{}x",
        "[1,]",
        "01",
        '"a\tb"',
        "",
    ],
)
def test_texts_on_which_readers_differ_are_read_as_the_standard_one_does(text: str) -> None:
    assert outcome_of(exact, text) == outcome_of(json.loads, text)


@given(anything | st.integers(-(2**70), 2**70) | st.lists(st.floats()))
def test_any_json_is_read_as_the_standard_reader_does(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert repr(exact(text)) == repr(json.loads(text))


@given(st.text(st.sampled_from('{}[]",:0123456789.eE+-tfnrulas\\ud8NI \n\x01é')))
def test_any_text_is_read_as_the_standard_reader_does(text: str) -> None:
    assert outcome_of(exact, text) == outcome_of(json.loads, text)


def test_a_group_that_is_nested_too_deeply_is_a_bad_line() -> None:
    deep = line()[:-1] + b', "lang": ' + b"[" * 1015 + b"]" * 1015 + b"}"
    found = ner(line(id="2"), deep, sort_by="lang")
    assert len(found.documents) == 1
    assert [each.fault for each in found.bad_lines] == ["its `lang` is nested too deeply; write a name"]
