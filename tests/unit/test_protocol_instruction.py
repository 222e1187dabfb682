"""What the model is asked: the published words, and the schema in the form of its task."""

import json
from typing import Any

import pytest

from sluice_schemas.schema import Example, Part, Task, Type
from sluice_worker.protocol.instruction import TEXTS, build, dump, schema_value

ROLES = (Part(name="who", description="the actor"), Part(name="when"))
EVENT = Type(name="start", description="a beginning", roles=ROLES)
ENTITY = Type(name="org", description="a company", attributes=(Part(name="city", description="its seat"),))
TRIPLE = Type(name="by", subject_type="org", object_type="person")
PLAIN = Type(name="person", description="a human being")


@pytest.mark.parametrize(
    ("task", "each", "plain", "described"),
    [
        ("NER", PLAIN, ["person"], {"person": "a human being"}),
        ("RE", PLAIN, ["person"], {"person": "a human being"}),
        ("EET", EVENT, ["start"], {"start": "a beginning"}),
        # SPO has no described form
        ("SPO", TRIPLE, [{"subject_type": "org", "predicate": "by", "object_type": "person"}], None),
        ("EE", EVENT, [{"event_type": "start", "trigger": True, "arguments": ["who", "when"]}],
         {"start": {"start": "a beginning", "trigger": True, "arguments": {"who": "the actor", "when": ""}}}),
        ("EEA", EVENT, [{"event_type": "start", "arguments": ["who", "when"]}],
         {"start": {"start": "a beginning", "arguments": {"who": "the actor", "when": ""}}}),
        ("KG", ENTITY, [{"entity_type": "org", "attributes": ["city"]}],
         [{"entity_type": "org", "attributes": {"city": "its seat"}}]),
    ],
)  # fmt: skip
def test_the_schema_in_the_form_of_its_task(task: Task, each: Type, plain: Any, described: Any) -> None:
    assert schema_value(task, [each]) == plain
    assert schema_value(task, [each], described=True) == (plain if described is None else described)


def test_the_instruction_object_is_json_in_the_order_of_training() -> None:
    asked = build("NER", "en", ["person"], 'A "quoted"\nline 中文')
    assert [*json.loads(asked)] == ["instruction", "schema", "input"]
    assert json.loads(asked)["input"] == 'A "quoted"\nline 中文'
    assert "中文" in asked
    assert '"schema": ["person"], "input": ' in asked


@pytest.mark.parametrize("language", ["en", "zh"])
def test_examples_stand_before_the_input_and_chinese_points_at_them(language: Any) -> None:
    examples = [Example(input="Zoe.", output={"person": ["Zoe"]})]
    asked = json.loads(build("NER", language, ["person"], "Bob.", examples=examples))
    assert [*asked] == ["instruction", "schema", "example", "input"]
    assert asked["example"] == [{"input": "Zoe.", "output": {"person": ["Zoe"]}}]
    assert asked["instruction"].endswith("你可以参考example进行抽取。") is (language == "zh")


def test_both_languages_ask_for_every_task() -> None:
    assert {*TEXTS["zh"]} == {*TEXTS["en"]} == {"NER", "RE", "SPO", "EE", "EET", "EEA", "KG"}
    assert all("\u4e00" <= text[0] <= "\u9fff" for text in TEXTS["zh"].values())
    assert all(text.isascii() for text in TEXTS["en"].values())


def test_json_is_written_with_spaces_and_without_escapes() -> None:
    assert dump({"a": ["b", "é"]}) == '{"a": ["b", "é"]}'
