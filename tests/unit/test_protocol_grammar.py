"""Grammars of requests: the answers that training teaches are accepted, every other writing of them is refused."""

import json
import random
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from sluice_schemas.schema import Part, Task, Type
from sluice_worker.engine.model_folder import resolve
from sluice_worker.protocol.answer import Annotation, answer
from sluice_worker.protocol.grammar import Level, grammar
from sluice_worker.protocol.instruction import dump, schema_value
from sluice_worker.protocol.parse import parse_strict
from sluice_worker.protocol.records import ABSENT, values_of

TASKS = get_args(Task)
LEVELS = get_args(Level)
BYTES = LLTokenizer("byte")
"""A tokenizer whose tokens are the 256 bytes, and marks."""
SHIPPED = LLTokenizer(str(resolve("sluice-tiny") / "tokenizer.json"))
"""Its tokens are longer than characters, shorter too, and cross from a value into what follows it."""

TEXT = 'Ann "A." Lee met Bob in Oslo.\nNora left.'
LISTED: dict[Task, Any] = {
    "NER": ["per", "loc"],
    "RE": ["met", "in"],
    "SPO": [{"subject_type": "per", "predicate": "met", "object_type": "per"}],
    "EET": ["meet", "leave"],
    "EE": [{"event_type": "meet", "trigger": True, "arguments": ["who", "where"]}],
    "EEA": [{"event_type": "meet", "arguments": ["who", "where"]}],
    "KG": [{"entity_type": "per", "attributes": ["met", "in", "at"]}],
}


def compiled(task: Task, schema: Any, text: str, level: Level, vocabulary: LLTokenizer = BYTES) -> LLMatcher:
    matcher = LLMatcher(vocabulary, LLMatcher.grammar_from_lark(grammar(task, schema, text, level=level)), log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    return matcher


def accepts(matcher: LLMatcher, given_answer: str) -> bool:
    walker, written = matcher.deep_copy(), given_answer.encode()
    return bool(walker.try_consume_tokens([*written]) == len(written) and walker.is_accepting())


# Texts made of what breaks JSON, grammars, tokenizers and the protocol's own marks.
HARD = [
    '"',
    "\\",
    "\n",
    "\t",
    "\x01",
    "\x7f",
    "\u2028",
    "👩‍👩‍👧",
    "e\u0301",
    "𠮷",
    "张三",
    "</s>",
    "[/INST]",
    "//",
    "'",
]
HARD += [ABSENT, "N", "NA", "nan", "Ann ", " ", ", ", '": ', '"]', "[]", "{}", "}", "%regex", "\\u0041", '", "']
texts = st.lists(st.sampled_from(HARD), min_size=1, max_size=12).map("".join)
names = st.sampled_from(["per", '"quoted"', "a_b", "and/or", "人物", "a: b", ABSENT, "{}", "\\", "x, y", "trigger"])


@st.composite
def types_of(draw: st.DrawFn, task: Task) -> list[Type]:
    some = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    if task == "SPO":  # one predicate may join several pairs of types
        kinds = draw(st.lists(st.sampled_from(["p", "q"]), min_size=1, max_size=2, unique=True))
        return [Type(name=name, subject_type=kind, object_type="o") for name in some for kind in kinds]
    return [Type(name=name, description="what", **draw(parts_of(task))) for name in some]


@st.composite
def parts_of(draw: st.DrawFn, task: Task) -> dict[str, Any]:
    least = 1 if task == "KG" else 0  # an event type may have no roles
    parts = [Part(name=name) for name in draw(st.lists(names, min_size=least, max_size=3, unique=True))]
    field = {"KG": "attributes", "EE": "roles", "EEA": "roles"}.get(task)
    return {field: tuple(parts)} if field else {}


@st.composite
def annotations(draw: st.DrawFn, task: Task, types: list[Type], text: str) -> Annotation:
    """Up to four facts whose values are any pieces of the text, cut where annotators would not cut it too."""

    def piece() -> str:
        start = draw(st.integers(0, len(text) - 1))
        return text[start : draw(st.integers(start + 1, len(text)))]

    def fact(each: Type) -> dict[str, Any]:
        if task == "NER":
            return {"entity": piece(), "entity_type": each.name}
        if task in ("EE", "EEA", "EET"):
            filled = draw(st.lists(st.sampled_from(each.roles), max_size=4)) if each.roles else []
            trigger = "" if task != "EET" and draw(st.booleans()) else piece()
            roles = [{"role": role.name, "argument": piece()} for role in filled]
            return {"event_type": each.name, "event_trigger": trigger, "arguments": roles}
        relation = draw(st.sampled_from(each.attributes)).name if each.attributes else each.name
        ends = {"head_type": each.subject_type or each.name, "tail_type": each.object_type}
        return {"head": piece(), "relation": relation, "tail": piece(), **ends}

    return [fact(each) for each in draw(st.lists(st.sampled_from(types), max_size=4))]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=15)
@given(data=st.data())
def test_the_answer_that_training_teaches_is_accepted(task: Task, level: Level, data: st.DataObject) -> None:
    text, types = data.draw(texts), data.draw(types_of(task))
    listed = schema_value(task, types)
    assert isinstance(listed, list)
    taught = dump(answer(task, listed, data.draw(annotations(task, types, text)), text))
    for described in (False, True):
        matcher = compiled(task, schema_value(task, types, described=described), text, level)
        assert accepts(matcher, taught)
        assert accepts(matcher, " " + taught), "tokenizers like LLaMA's begin every text with a space"
        for spoiled in (taught + " ", taught + taught, taught[:-1], taught + "\n", "  " + taught):
            assert not accepts(matcher, spoiled)


# None differs by much from a right answer of its task.
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        ("NER", '{"loc": ["Oslo"], "per": ["Ann"]}'),  # keys in another order
        ("NER", '{"per": ["Ann"]}'),  # a key is missing
        ("NER", '{"per": ["Ann"], "loc": [], "org": []}'),  # a key that nobody asked for
        ("NER", '{"per": ["Ann"], "per": []}'),  # a key twice
        ("NER", '{"per": [""], "loc": []}'),  # an empty value
        ("NER", '{"per": ["Ann "A." Lee"], "loc": []}'),  # a quote that ends the string
        ("NER", '{"per": ["met Bob in Oslo.\nNora"], "loc": []}'),  # a line break, not escaped
        ("NER", '{"per":["Ann"],"loc":[]}'),  # other separators
        ("NER", '{"per": ["Ann","Bob"], "loc": []}'),  # and inside a list
        ("NER", '{ "per": ["Ann"], "loc": []}'),  # white space that no training wrote
        ("NER", '{"per": ["Ann",], "loc": []}'),  # a comma too many
        ("NER", '{"per": "Ann", "loc": []}'),  # no list
        ("NER", '{"per": [Ann], "loc": []}'),  # no string
        ("NER", '{"per": null, "loc": []}'),
        ("NER", '```json\n{"per": ["Ann"], "loc": []}```'),  # prose around it
        ("NER", '{"per": ["Ann"], "loc": []} Ann met Bob.'),  # text after it
        ("EET", '{"meet": [{"trigger": "met"}], "leave": []}'),  # another task's answer
        ("RE", '{"met": [{"tail": "Bob", "head": "Ann"}], "in": []}'),  # ends in another order
        ("RE", '{"met": [{"subject": "Ann", "object": "Bob"}], "in": []}'),  # SPO's names
        ("RE", '{"met": [{"head": "Ann"}], "in": []}'),  # half a triple
        ("RE", '{"met": [{}], "in": []}'),
        ("SPO", '{"met": [{"head": "Ann", "tail": "Bob"}]}'),  # RE's names
        ("SPO", '{"per_met_per": []}'),  # the typed triple as the key
        ("EE", '{"meet": [{"arguments": {"who": "Ann", "where": "NAN"}, "trigger": "met"}]}'),
        ("EE", '{"meet": [{"trigger": "met", "arguments": {"where": "Oslo", "who": "Ann"}}]}'),  # roles reordered
        ("EE", '{"meet": [{"trigger": "met", "arguments": {"who": "Ann"}}]}'),  # a role is missing
        ("EE", '{"meet": [{"trigger": "met", "arguments": {"who": ["Ann"], "where": "NAN"}}]}'),  # a list of one
        ("EE", '{"meet": [{"trigger": "met", "arguments": {"who": [], "where": "NAN"}}]}'),  # a list of none
        ("EE", '{"meet": [{"trigger": "", "arguments": {}}]}'),  # an empty trigger
        ("EE", '{"meet": [{"trigger": ["met"], "arguments": {}}]}'),  # a list of triggers
        ("EE", '{"meet": {"trigger": "met", "arguments": {}}}'),  # an event outside a list
        ("EEA", '{"meet": [{"who": "Ann", "where": "Oslo"}]}'),  # flat roles
        ("KG", '{"per": {"Ann": {"in": "Oslo", "met": "Bob"}}}'),  # attributes in another order
        ("KG", '{"per": {"Ann": {"met": ["Bob"]}}}'),  # a list of one
        ("KG", '{"per": {"Ann": {"met": ""}}}'),
        ("KG", '{"per": {"Ann": {, "in": "Oslo"}}}'),  # a comma before the first
        ("KG", '{"per": {"Ann": {"met": "Bob", }}}'),
        ("KG", '{"per": {"Ann": []}}'),
        ("KG", '{"per": []}'),  # other tasks' way to say nothing
    ],
)  # fmt: skip
def test_another_form_is_refused(task: Task, wrong: str, level: Level) -> None:
    matcher = compiled(task, LISTED[task], TEXT, level)
    assert not accepts(matcher, wrong)
    assert accepts(matcher, RIGHT[task])


RIGHT: dict[Task, str] = {
    "NER": '{"per": ["Ann", "Ann \\"A.\\" Lee", "Oslo.\\nNora", "Nora"], "loc": []}',
    "RE": '{"met": [{"head": "Ann", "tail": "Bob"}, {"head": "Bob", "tail": "Ann"}], "in": []}',
    "SPO": '{"met": [{"subject": "Ann", "object": "Bob"}]}',
    "EET": '{"meet": ["met", "met"], "leave": []}',
    "EE": '{"meet": [{"trigger": "NAN", "arguments": {"who": ["Ann", "Nora"], "where": "NAN"}}]}',
    "EEA": '{"meet": [{"trigger": "met", "arguments": {}}, {"trigger": "A", "arguments": {"who": "A", "where": "A"}}]}',
    "KG": '{"per": {"Ann": {"met": "Bob", "at": ["Oslo", "Oslo"]}, "Bob": {}, "Nora": {"in": "Nora"}}}',
}


@pytest.mark.parametrize(
    ("task", "written"),
    [
        ("NER", '{"per": ["%s"], "loc": []}'),
        ("RE", '{"met": [{"head": "%s", "tail": "Ann"}], "in": []}'),
        ("RE", '{"met": [{"head": "Ann", "tail": "%s"}], "in": []}'),
        ("SPO", '{"met": [{"subject": "Ann", "object": "%s"}]}'),
        ("EET", '{"meet": ["%s"], "leave": []}'),
        ("EE", '{"meet": [{"trigger": "%s", "arguments": {}}]}'),
        ("EE", '{"meet": [{"trigger": "met", "arguments": {"who": "%s", "where": "NAN"}}]}'),
        ("EEA", '{"meet": [{"trigger": "met", "arguments": {"who": ["%s", "Ann"], "where": "NAN"}}]}'),
        ("KG", '{"per": {"%s": {}}}'),
        ("KG", '{"per": {"Ann": {"met": "%s"}}}'),
        ("KG", '{"per": {"Ann": {"met": ["%s", "Bob"]}}}'),
    ],
)
def test_every_place_for_a_value_takes_pieces_of_the_text_alone(task: Task, written: str) -> None:
    free, grounded = (compiled(task, LISTED[task], TEXT, level) for level in LEVELS)
    # Not in the text; in other letters; two pieces as one; half an escape; another escape; a mark; and NAN with a tail.
    for invented in ("Eve", "ann", "Ann Bob", "Annn", "nNora", "\\n\\n", "\\u0041nn", "</s>", "NANA"):
        assert accepts(free, written % invented)
        assert not accepts(grounded, written % invented)
    for piece in ("Ann", "A", "nn", "Ann ", 'n \\"A', "lo.\\nNo", '\\"A.\\"', '\\"', "\\n", json.dumps(TEXT)[1:-1]):
        assert accepts(grounded, written % piece)
    for broken in ("", "Oslo.\\", '"A', "Oslo.\nNora"):  # nothing; half an escape that eats the quote; not escaped
        assert not accepts(grounded, written % broken)


@pytest.mark.parametrize(
    ("task", "written", "is_allowed"),
    [
        ("NER", '{"per": ["NAN"], "loc": []}', False),
        ("RE", '{"met": [{"head": "Ann", "tail": "NAN"}], "in": []}', False),
        ("SPO", '{"met": [{"subject": "NAN", "object": "Ann"}]}', False),
        ("EET", '{"meet": ["NAN"], "leave": []}', False),
        ("KG", '{"per": {"Ann": {"met": "NAN"}}}', False),  # absent attributes are left out
        ("EE", '{"meet": [{"trigger": "NAN", "arguments": {"who": "NAN", "where": "Oslo"}}]}', True),
        ("EEA", '{"meet": [{"trigger": "NAN", "arguments": {"who": "NAN", "where": "Oslo"}}]}', True),
        ("EE", '{"meet": [{"trigger": "met", "arguments": {"who": ["Ann", "NAN"], "where": "NAN"}}]}', False),
    ],
)
def test_nan_stands_only_where_the_protocol_has_it_or_the_text(task: Task, written: str, is_allowed: bool) -> None:
    assert accepts(compiled(task, LISTED[task], TEXT, "grounded"), written) is is_allowed
    assert accepts(compiled(task, LISTED[task], TEXT + " NAN", "grounded"), written)


@pytest.mark.parametrize("level", LEVELS)
def test_two_items_with_one_predicate_share_its_key(level: Level) -> None:
    schema = [{"subject_type": kind, "predicate": "by", "object_type": "o"} for kind in "pq"]
    matcher = compiled("SPO", schema, TEXT, level)
    assert accepts(matcher, '{"by": [{"subject": "Ann", "object": "Bob"}]}')
    assert not accepts(matcher, '{"by": [], "by": []}')


@pytest.mark.parametrize("task", ["EE", "EEA"])
def test_an_event_type_without_roles_has_no_arguments(task: Task) -> None:
    matcher = compiled(task, [{"event_type": "meet", "arguments": []}], TEXT, "grounded")
    assert accepts(matcher, '{"meet": [{"trigger": "met", "arguments": {}}]}')
    assert not accepts(matcher, '{"meet": [{"trigger": "met", "arguments": {"who": "Ann"}}]}')


def test_each_event_type_has_its_own_roles() -> None:
    schema = {"a": {"a": "", "trigger": True, "arguments": {"x": ""}}, "b": {"b": "", "arguments": {"y": "", "z": ""}}}
    matcher = compiled("EE", schema, TEXT, "grounded")
    x, y = '[{"trigger": "NAN", "arguments": {"x": "A"}}]', '[{"trigger": "NAN", "arguments": {"y": "A", "z": "A"}}]'
    assert accepts(matcher, f'{{"a": {x}, "b": {y}}}')
    assert not accepts(matcher, f'{{"a": {y}, "b": {x}}}')


def walk(matcher: LLMatcher, vocabulary: LLTokenizer, seed: int) -> str:
    """What a model without any sense might write: any allowed token, for a while; then the shortest way to the end."""
    walker, chance, written = matcher.deep_copy(), random.Random(seed), bytearray()
    while not walker.is_accepting():
        allowed = [token for token, is_allowed in enumerate(walker.compute_logit_bias()) if is_allowed]
        closing = [token for token in allowed if vocabulary.decode_bytes([token]) in (b'"', b"]", b"}")]
        is_closing = closing and (len(written) > 150 or chance.random() < 0.1)
        token = closing[0] if is_closing else chance.choice(allowed)
        assert walker.consume_token(token)
        written += vocabulary.decode_bytes([token])
        assert len(written) < 5000, "no way to the end"
    return written.decode()


@pytest.mark.parametrize("vocabulary", [BYTES, SHIPPED], ids=["bytes", "shipped"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=8)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_whatever_is_written_under_a_grammar_parses(
    task: Task, level: Level, vocabulary: LLTokenizer, data: st.DataObject, seed: int
) -> None:
    text, types = data.draw(texts), data.draw(types_of(task))
    matcher = compiled(task, schema_value(task, types, described=data.draw(st.booleans())), text, level, vocabulary)
    written = walk(matcher, vocabulary, seed)
    parsed = parse_strict(task, written)
    assert parsed.ok
    assert parsed.skipped == ()
    assert [*json.loads(written)] == [*dict.fromkeys(each.name for each in types)]
    values = [value for record in parsed.records for value in values_of(record)]
    assert "" not in values
    if level == "grounded":
        assert all(value in text or (task in ("EE", "EEA") and value == ABSENT) for value in values)


def test_random_answers_hold_values() -> None:
    """Else the walks above would show nothing."""
    matcher = compiled("NER", LISTED["NER"], TEXT, "grounded")
    found = [parse_strict("NER", walk(matcher, BYTES, seed)).records for seed in range(20)]
    values = {value for records in found for record in records for value in values_of(record)}
    assert len(values) > 20
    assert any(len(value) > 3 for value in values)


def test_any_piece_of_a_text_can_be_said() -> None:
    text = 'a"b\\c\nd\x01👩‍👩‍👧e\u0301𠮷</s>'
    matcher = compiled("NER", ["per"], text, "grounded")
    pieces = [text[start:end] for end in range(1, len(text) + 1) for start in range(end)]
    assert accepts(matcher, dump({"per": pieces}))
    for piece in pieces:
        foreign = piece + piece[-1]  # no character stands twice in a row in this text
        assert not accepts(matcher, dump({"per": [foreign]}))


@pytest.mark.parametrize("unit", ["The quick brown fox. ", "张三在北京大学任教，", '"\\\n', "a b ", "a", "e\u0301"])
@pytest.mark.parametrize("length", [2_000, 16_000])
def test_a_long_text_compiles_and_all_of_it_can_be_said(length: int, unit: str) -> None:
    text = (unit * length)[:length]
    matcher = compiled("NER", ["per", "loc"], text, "grounded")
    some = [text[-100:], text[:60], text[1:2]]
    assert accepts(matcher, dump({"per": some, "loc": [text]}))
    assert not matcher.get_grammar_warnings()


@pytest.mark.parametrize("task", TASKS)
def test_sixty_labels_in_one_request(task: Task) -> None:
    parts = tuple(Part(name=f"part {i}") for i in range(20))
    field = {"KG": "attributes", "EE": "roles", "EEA": "roles"}.get(task)
    extra: dict[str, Any] = {field: parts} if field else {}
    extra |= {"subject_type": "p", "object_type": "q"} if task == "SPO" else {}
    schema = schema_value(task, [Type(name=f"type {i}", **extra) for i in range(60)])
    matcher = compiled(task, schema, TEXT * 50, "grounded")
    assert accepts(matcher, dump({f"type {i}": {} if task == "KG" else [] for i in range(60)}))
    bits = matcher.compute_bitmask()
    assert sum(each.bit_count() for each in bits) == 2, "the answer begins with a brace, or a space before it"
