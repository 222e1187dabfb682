"""Whole conversions: no label is lost, every record is the JSON that the protocol says, bad lines are named."""

import json
import random
from collections.abc import Iterable
from io import BytesIO
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Example, Part, Task, Type
from sluice_worker.conversion.annotated import IDENTITY, Reader
from sluice_worker.conversion.convert import Count, Wishes, convert, converter
from sluice_worker.conversion.item import escaped, quoted
from sluice_worker.conversion.labels import SchemaLines, types_of
from sluice_worker.protocol.answer import ANNOTATION_FIELD, answer
from sluice_worker.protocol.document_id import document_id
from sluice_worker.protocol.instruction import build, dump
from sluice_worker.protocol.parse import parse_strict
from sluice_worker.protocol.records import Record, values_of
from sluice_worker.protocol.split import split

TASKS: tuple[Task, ...] = get_args(Task)
WORDS = ["Ann", "Bob", "Acme", "Paris", "left"]
NAMES = ["c", "a", "b", "e", "d", "f", "h"]
PARTS = {name: tuple(f"{name}{number}" for number in range(3)) for name in NAMES}
TYPED = [f"{name}_of {name}_x" for name in NAMES]


def types(task: Task) -> tuple[Type, ...]:
    return types_of(task, SchemaLines(tuple(TYPED if task == "SPO" else NAMES), tuple(NAMES), PARTS))


def fact(task: Task, draw: random.Random) -> dict[str, Any]:
    """One annotated item; "foreign" and the part "new" are not in the schema."""
    name = draw.choice([*NAMES, "foreign"])
    head, tail = draw.choice(WORDS), draw.choice(WORDS)
    match task:
        case "NER":
            return {"entity": head, "entity_type": name}
        case "RE":
            return {"head": head, "relation": name, "tail": tail}
        case "SPO":
            typed = {"head_type": name, "tail_type": draw.choice(["x", "y"])}
            return {"head": head, "relation": f"of {name}", "tail": tail} | typed
        case "KG":
            part = draw.choice([*PARTS.get(name, ()), "new"])
            typed = {"head_type": name} if draw.random() < 0.5 else {}
            return {"head": head, "relation": part, "tail": tail} | typed
    roles = [*PARTS.get(name, ()), "new"]
    arguments = [{"role": draw.choice(roles), "argument": draw.choice(WORDS)} for _ in range(draw.randrange(4))]
    return {"event_type": name, "event_trigger": draw.choice([*WORDS, ""]), "arguments": arguments}


@st.composite
def documents(draw: st.DrawFn, task: Task) -> dict[str, Any]:
    choices = random.Random(draw(st.integers()))
    facts = [fact(task, choices) for _ in range(draw(st.integers(0, 6)))]
    return {"text": draw(st.text(max_size=20)) + "Bob left Acme and Ann in Paris.", ANNOTATION_FIELD[task]: facts}


RUNS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "split_num": st.sampled_from([-1, 1, 2, 3, 4, 6]),
        "neg_schema": st.sampled_from([0.0, 0.3, 1.0]),
        "random_sort": st.booleans(),
        "seed": st.integers(),
        "rivals": st.sampled_from([None, {"a": ["b"], "foreign": ["c", "unknown"]}]),
    }
)


def records(wishes: Wishes, document: Any, own: Iterable[Type] | None = None) -> list[dict[str, Any]]:
    lines = converter(wishes, [*(own or types(wishes.task))])
    return [json.loads(line) for line in lines(json.dumps(document, ensure_ascii=False).encode())]


def found(task: Task, answers: Iterable[str]) -> list[Record]:
    parsed = [parse_strict(task, each) for each in answers]
    assert all(each.ok and not each.skipped for each in parsed)
    return [record for each in parsed for record in each.records]


def label(item: Any) -> str:
    if isinstance(item, str):
        return item
    if "predicate" in item:
        return f"{item['subject_type']}_{item['predicate']}_{item['object_type']}"
    return str(item.get("event_type") or item["entity_type"])


def own_labels(task: Task, facts: list[Any]) -> set[str]:
    match task:
        case "NER":
            return {each["entity_type"] for each in facts}
        case "RE":
            return {each["relation"] for each in facts}
        case "SPO":
            return {f"{each['head_type']}_{each['relation']}_{each['tail_type']}" for each in facts}
        case "KG":
            return {each["head_type"] for each in facts if "head_type" in each}
    return {each["event_type"] for each in facts}


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=25)
@given(st.data())
def test_every_own_label_is_asked_once_and_nothing_annotated_is_lost(task: Task, data: st.DataObject) -> None:
    document = data.draw(documents(task))
    run = data.draw(RUNS)
    made = records(Wishes(task=task, language="en", **run), document)
    facts = document[ANNOTATION_FIELD[task]]
    asked = [json.loads(each["instruction"])["schema"] for each in made]
    labels = [label(item) for schema in asked for item in schema]
    assert len({*labels}) == len(labels)
    assert own_labels(task, facts) <= {*labels}
    assert [len(schema) for schema in asked] == [len(part) for part in split(labels, run["split_num"])] or not made
    said = {value for record in found(task, [each["output"] for each in made]) for value in values_of(record)}
    assert _values(task, facts) <= said


def _values(task: Task, facts: list[Any]) -> set[str]:
    if task == "NER":
        return {each["entity"] for each in facts}
    if ANNOTATION_FIELD[task] == "relation":
        return {each[key] for each in facts for key in ("head", "tail")}
    triggers = {each["event_trigger"] for each in facts if each["event_trigger"]}
    arguments = {argument["argument"] for each in facts for argument in each["arguments"]}
    return triggers if task == "EET" else triggers | arguments


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=25)
@given(st.data())
def test_a_record_is_what_the_protocol_builds(task: Task, data: st.DataObject) -> None:
    """Put together from pieces, a line is to the byte what one writes from the whole objects."""
    document, run = data.draw(documents(task)), data.draw(RUNS)
    source = data.draw(st.text(max_size=5))
    wishes = Wishes(task=task, source=source, **run)
    lines = converter(wishes, types(task))(dump(document).encode())
    for line in lines:
        record = json.loads(line)
        schema = json.loads(record["instruction"])["schema"]
        instruction = build(task, "zh", schema, document["text"])
        assert (
            line
            == dump({"task": task, "source": source, "instruction": instruction, "output": record["output"]}) + "\n"
        )
        assert record["output"] == dump(json.loads(record["output"]))
        if task != "KG":  # where heads without a type stand is settled before
            facts = Reader(task, True, IDENTITY).read(dump(document).encode()).facts or []
            assert record["output"] == dump(answer(task, schema, facts, document["text"]))


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=25)
@given(st.data())
def test_test_records_ask_the_whole_schema_in_its_order(task: Task, data: st.DataObject) -> None:
    document = data.draw(documents(task))
    is_annotated = data.draw(st.booleans())
    if not is_annotated:
        del document[ANNOTATION_FIELD[task]]
    k = data.draw(st.sampled_from([-1, 1, 2, 4]))
    made = records(Wishes(task=task, split="test", split_num=k), document)
    labels = [label(item) for each in made for item in json.loads(each["instruction"])["schema"]]
    if task == "EEA" and is_annotated:
        assert labels == [*dict.fromkeys(each["event_type"] for each in document["event"])]
    else:
        assert labels == [each.label for each in types(task)]
    fields = ["id", "task", "source", "instruction", *(["label"] if is_annotated else [])]
    for record in made:
        assert [*record] == fields
        assert record["id"] == document_id(document["text"])
        if is_annotated and task not in IDENTITY:
            assert record["label"] == dump(document[ANNOTATION_FIELD[task]])


@given(st.text())
def test_the_fast_way_to_quote_is_the_slow_way(text: str) -> None:
    assert quoted(text) == dump(text)
    assert f'"{escaped(dump(text))}"' == dump(dump(text))


def test_the_label_keeps_what_nobody_asked_for_and_drops_what_stands_twice() -> None:
    twice = {"entity": "Ann", "entity_type": "a", "start": 3, "note": {"by": ["x", None, 1.5]}}
    (made,) = records(Wishes(split="test", split_num=-1), {"text": "Ann", "entity": [twice, {**twice, "start": 4}]})
    assert made["label"] == dump([twice])


def test_typed_triples_that_differ_in_a_type_alone_are_two() -> None:
    facts = [
        {"head": "Ann", "head_type": kind, "relation": "of a", "tail": "Acme", "tail_type": "x"} for kind in ("a", "b")
    ]
    made = records(Wishes(task="SPO", neg_schema=0, split_num=-1), {"text": "Ann", "relation": facts})
    assert [label(item) for item in json.loads(made[0]["instruction"])["schema"]] == ["a_of a_x", "b_of a_x"]
    assert json.loads(made[0]["output"]) == {"of a": [{"subject": "Ann", "object": "Acme"}]}


def test_an_annotated_triple_knows_where_its_names_end() -> None:
    """Read off a schema file, a_b_c_d is (a, b_c, d); the annotation means (a_b, c, d)."""
    typed = {"head": "Ann", "head_type": "a_b", "relation": "c", "tail": "Acme", "tail_type": "d"}
    own = types_of("SPO", SchemaLines(("a_b_c_d",), (), {}))
    (made,) = records(Wishes(task="SPO"), {"text": "Ann", "relation": [typed]}, own)
    assert json.loads(made["output"]) == {"c": [{"subject": "Ann", "object": "Acme"}]}


KG = types_of("KG", SchemaLines((), (), {"person": ("born", "alias"), "company": ("seat", "alias")}))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # a head stands under the type that owns most of its attributes
        ([("Ann", "born", "1970"), ("Ann", "alias", "A")], {"person": {"Ann": {"born": "1970", "alias": "A"}}}),
        # under both where they own as many
        ([("Ann", "alias", "A")], {"person": {"Ann": {"alias": "A"}}, "company": {"Ann": {"alias": "A"}}}),
        # an attribute of no type is asked with the head's others
        ([("Ann", "born", "1970"), ("Ann", "age", "9")], {"person": {"Ann": {"born": "1970", "age": "9"}}}),
        ([], {}),
    ],
)
def test_the_entity_type_of_a_head(facts: list[tuple[str, str, str]], expected: dict[str, Any]) -> None:
    relation = [{"head": head, "relation": name, "tail": tail} for head, name, tail in facts]
    made = records(Wishes(task="KG", split_num=1), {"text": "Ann", "relation": relation}, KG)
    answers = {key: value for each in made for key, value in json.loads(each["output"]).items()}
    assert answers == {"person": {}, "company": {}} | expected
    asked = [json.loads(each["instruction"])["schema"] for each in made]
    assert [item["entity_type"] for (item,) in asked] == ["company", "person"]


DESCRIBED = (
    Type(name="b", description="a thing", roles=(Part(name="r", description="a role"),)),
    Type(name="a", roles=(Part(name="q"),)),
)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("NER", {"b": "a thing", "a": ""}),
        ("EE", {"b": {"b": "a thing", "trigger": True, "arguments": {"r": "a role"}},
                "a": {"a": "", "trigger": True, "arguments": {"q": ""}}}),
    ],
)  # fmt: skip
def test_described_schemas_with_examples_are_not_split(task: Task, split: Any, expected: Any) -> None:
    examples = (Example(input="Zoe.", output={"b": ["Zoe"]}),)
    wishes = Wishes(task=task, split=split, split_num=1, is_described=True, examples=examples)
    (made,) = records(wishes, {"text": "T", ANNOTATION_FIELD[task]: []}, DESCRIBED)
    order = [*expected] if split == "test" else sorted(expected)
    schema = {name: expected[name] for name in order}
    assert made["instruction"] == build(task, "zh", schema, "T", examples=examples)
    assert made.get("output") == (None if split == "test" else '{"a": [], "b": []}')


def test_answers_in_text_order() -> None:
    facts = [{"entity": name, "entity_type": "a"} for name in ("Bob", "Ann", "Zoe")]
    document = {"text": "Ann, Bob", "entity": facts}
    kept, sorted_ = (
        json.loads(records(Wishes(neg_schema=0, text_order=order), document)[0]["output"]) for order in (False, True)
    )
    assert (kept, sorted_) == ({"a": ["Bob", "Ann", "Zoe"]}, {"a": ["Zoe", "Ann", "Bob"]})


def run(lines: list[bytes], **wishes: Any) -> tuple[Count, list[str], bytes]:
    told: list[str] = []
    target = BytesIO()
    own = Wishes(**wishes)
    count = convert(
        lines,
        target,
        lines=converter(own, types(own.task)),
        report=lambda number, said: told.append(f"{number} {said}"),
    )
    return count, told, target.getvalue()


@pytest.mark.parametrize(
    ("task", "line", "said"),
    [
        ("NER", b"{", "not JSON"),
        ("NER", b'{"text": "SECRET \xff", "entity": []}', "not JSON in UTF-8"),
        ("NER", b'{"text": "SECRET \\ud800", "entity": []}', "not JSON"),  # half a character
        ("NER", b'["SECRET"]', "no object with a string `text`"),
        ("NER", b'{"text": null, "entity": []}', "no object with a string `text`"),
        ("NER", b'{"text": "SECRET"}', "`entity` is missing"),
        ("NER", b'{"text": "SECRET", "entity": "SECRET"}', "`entity` is missing or no list"),
        ("NER", b'{"text": "SECRET", "entity": ["SECRET"]}', "Item 1 of `entity` is no object"),
        ("NER", b'{"text": "", "entity": [{"entity": "SECRET", "entity_type": 1}]}', "needs `entity_type`"),
        ("RE", b'{"text": "", "relation": [{"head": "", "relation": ""}]}', "Item 1 of `relation` needs `tail`"),
        ("SPO", b'{"text": "", "relation": [{"head": "", "relation": "", "tail": ""}]}', "needs `head_type`"),
        ("EE", b'{"text": "", "event": [{"event_type": ""}]}', "Item 1 of `event` needs `arguments`"),
        ("EE", b'{"text": "", "event": [{"event_type": "", "arguments": [{"role": ""}]}]}', "needs `arguments`"),
        ("EE", b'{"text": "", "event": [{"event_type": "", "event_trigger": null, "arguments": []}]}', "event_trigger"),
        ("EET", b'{"text": "", "event": [{"event_type": ""}]}', "event_trigger"),
        ("EEA", b'{"text": "", "event": [{"event_type": "", "arguments": []}]}', "event_trigger"),
    ],
)
def test_a_bad_line_is_told_without_its_text_and_the_run_goes_on(task: Task, line: bytes, said: str) -> None:
    good = dump({"text": "T", ANNOTATION_FIELD[task]: [fact(task, random.Random(1))]}).encode()
    count, told, written = run([good, b"\n", line, b"  \r\n", good], task=task)
    assert (count.documents, count.bad, count.skipped) == (2, 1, 0)
    assert count.records == len(written.splitlines()) > 0
    (problem,) = told
    assert problem.startswith("3 ")
    assert said in problem
    assert "SECRET" not in problem


def test_json_nested_too_deeply_is_a_bad_line() -> None:
    deep = b'{"text": "", "entity": [{"entity": "", "entity_type": "", "x": ' + b"[" * 1015 + b"]" * 1015 + b"}]}"
    count, told, written = run([deep], split="test")
    assert (count.bad, len(told), written) == (1, 1, b"")


def test_a_byte_order_mark_and_skipped_documents() -> None:
    count, told, _ = run([b'\xef\xbb\xbf{"text": "", "entity": []}', b'{"text": "", "entity": []}'], neg_schema=0)
    assert (count, told) == (Count(documents=2, skipped=2), [])


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"split_num": 0}, "split_num is 0"),
        ({"split_num": -2}, "split_num is -2"),
        ({"neg_schema": 1.5}, "from 0 to 1"),
        ({"neg_schema": -1}, "from 0 to 1"),
        ({"neg_schema": float("nan")}, "from 0 to 1"),
    ],
)
def test_wishes_that_cannot_be_met(wishes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        converter(Wishes(**wishes), types("NER"))


def test_kg_training_needs_an_entity_type() -> None:
    with pytest.raises(BadInput, match="no entity type"):
        converter(Wishes(task="KG"), ())
    converter(Wishes(task="KG", split="test"), ())


def test_seeds_settle_the_draws() -> None:
    lines = [dump({"text": str(number), "entity": []}).encode() for number in range(20)]
    first, again, other = (run(lines, neg_schema=0.5, random_sort=True, seed=seed)[2] for seed in (1, 1, 2))
    assert first == again != other
