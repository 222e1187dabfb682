"""The one thing a model is asked: an instruction object as a JSON string (OneKE's protocol, sections 2 and 3)."""

import json
from collections.abc import Sequence
from typing import Any

from sluice_schemas.document import Language
from sluice_schemas.schema import Example, Task, Type

_RE_ZH = "你是专门进行关系抽取的专家。请从input中抽取出符合schema定义的关系三元组，不存在的关系返回空列表。请按照JSON字符串的格式回答。"
_RE_EN = (
    "You are an expert in relationship extraction. Please extract relationship triples that match the schema "
    "definition from the input. Return an empty list for relationships that do not exist. Please respond in the format "
    "of a JSON string."
)

# Verbatim: the model was tuned on exactly these characters.
TEXTS: dict[Language, dict[Task, str]] = {
    "zh": {
        "NER": "你是专门进行实体抽取的专家。请从input中抽取出符合schema定义的实体，不存在的实体类型返回空列表。请按照JSON字符串的格式回答。",
        "RE": _RE_ZH,
        "SPO": _RE_ZH,
        "EE": "你是专门进行事件提取的专家。请从input中抽取出符合schema定义的事件，不存在的事件返回空列表，不存在的论元返回NAN，"
        "如果论元存在多值请返回列表。请按照JSON字符串的格式回答。",
        "EET": "你是专门进行事件提取的专家。请从input中抽取出符合schema定义的事件类型及事件触发词，不存在的事件返回空列表。"
        "请按照JSON字符串的格式回答。",
        "EEA": "你是专门进行事件论元提取的专家。请从input中抽取出符合schema定义的事件论元及论元角色，"
        "不存在的论元返回NAN或空字典，如果论元存在多值请返回列表。请按照JSON字符串的格式回答。",
        "KG": "你是一个图谱实体知识结构化专家。根据输入实体类型(entity type)的schema描述，"
        "从文本中抽取出相应的实体实例和其属性信息，不存在的属性不输出, 属性存在多值就返回列表，并输出为可解析的json格式。",
    },
    "en": {
        "NER": "You are an expert in named entity recognition. Please extract entities that match the schema definition "
        "from the input. Return an empty list if the entity type does not exist. Please respond in the format of a JSON "
        "string.",
        "RE": _RE_EN,
        "SPO": _RE_EN,
        "EE": "You are an expert in event extraction. Please extract events from the input that conform to the schema "
        "definition. Return an empty list for events that do not exist, and return NAN for arguments that do not exist. "
        "If an argument has multiple values, please return a list. Respond in the format of a JSON string.",
        "EET": "You are an expert in event extraction. Please extract event types and event trigger words from the "
        "input that conform to the schema definition. Return an empty list for non-existent events. Please respond in "
        "the format of a JSON string.",
        "EEA": "You are an expert in event argument extraction. Please extract event arguments and their roles from the "
        "input that conform to the schema definition, which already includes event trigger words. If an argument does "
        "not exist, return NAN or an empty dictionary. Please respond in the format of a JSON string.",
        "KG": "You are an expert in structured knowledge systems for graph entities. Based on the schema description of "
        "the input entity type, you extract the corresponding entity instances and their attribute information from the "
        "text. Attributes that do not exist should not be output. If an attribute has multiple values, a list should be "
        "returned. The results should be output in a parsable JSON format.",
    },
}

# Published for Chinese only; English instructions stay as they are when examples are given.
EXAMPLE_SUFFIX: dict[Language, str] = {"zh": "你可以参考example进行抽取。", "en": ""}


# json.dumps would make one for each call.
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def build(task: Task, language: Language, schema: Any, text: str, *, examples: Sequence[Example] = ()) -> str:
    """The instruction object for one text as a JSON string; `schema` comes from `schema_value` or is given as is."""
    instruction = TEXTS[language][task]
    if not examples:
        return dump({"instruction": instruction, "schema": schema, "input": text})
    shown = [{"input": example.input, "output": example.output} for example in examples]
    instruction += EXAMPLE_SUFFIX[language]
    return dump({"instruction": instruction, "schema": schema, "example": shown, "input": text})


def schema_value(task: Task, types: Sequence[Type], *, described: bool = False) -> list[Any] | dict[str, Any]:
    """The `schema` of an instruction in the task's form; described forms carry the descriptions (section 2)."""
    if described and task in ("NER", "RE", "EET"):
        return {each.name: each.description for each in types}
    if described and task in ("EE", "EEA"):
        return {each.name: _described_event(task, each) for each in types}
    return [_item(task, each, described) for each in types]


def _described_event(task: Task, each: Type) -> dict[str, Any]:
    trigger = {"trigger": True} if task == "EE" else {}
    return {each.name: each.description, **trigger, "arguments": {role.name: role.description for role in each.roles}}


def _item(task: Task, each: Type, described: bool) -> Any:
    match task:
        case "NER" | "RE" | "EET":
            return each.name
        case "SPO":
            return {"subject_type": each.subject_type, "predicate": each.name, "object_type": each.object_type}
        case "EE":
            return {"event_type": each.name, "trigger": True, "arguments": [role.name for role in each.roles]}
        case "EEA":
            return {"event_type": each.name, "arguments": [role.name for role in each.roles]}
    names = [attribute.name for attribute in each.attributes]
    attributes = {part.name: part.description for part in each.attributes} if described else names
    return {"entity_type": each.name, "attributes": attributes}


def dump(value: Any) -> str:
    """JSON as the model was trained to read and write it: `", "` and `": "`, non-ASCII kept."""
    return _ENCODER.encode(value)
