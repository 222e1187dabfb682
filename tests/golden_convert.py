"""Compares what `convert` writes with recorded conversions, and answers with recorded answers.

A vector says how close: `bytes`, `canonical` (what the original draws or shuffles is free) or `properties` (drawn at
random: what must hold is listed by document).
"""

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from sluice_schemas.errors import BadInput
from sluice_worker.conversion.behaviour import ORIGINAL, Behaviour
from sluice_worker.conversion.convert import Wishes, convert, converter
from sluice_worker.conversion.labels import SchemaLines, types_of
from sluice_worker.protocol.answer import answer
from sluice_worker.protocol.instruction import TEXTS, dump
from sluice_worker.protocol.split import split

Json = dict[str, Any]


def check_convert(vector: Json, case: Json) -> Iterator[str]:
    """As the original converts; where it crashes, a sane result or a sentence must come out."""
    yield from differences(vector, ORIGINAL)


def check_target(vector: Json, case: Json) -> Iterator[str]:
    """The answer to one question; where the original loses triples, the answer that holds all is right too."""
    expected = case["expected"]
    if "raises" in expected:
        return
    output = dump(answer(case.get("task") or vector["task"], case["schema"], case["annotation"], case["text"]))
    is_exact = (case.get("compare") or vector.get("compare", "bytes")) == "bytes"
    wanted = [expected["output"], *filter(None, [case.get("known_bug_merged_output")])]
    if output not in wanted and (is_exact or _plain_output(output) not in [_plain_output(each) for each in wanted]):
        yield f"output is {output}, not {expected['output']}"


def differences(vector: Json, behaviour: Behaviour) -> Iterator[str]:
    """What is wrong with the conversion of a vector's documents."""
    expected: Json = vector.get("expected_patched") or vector["expected"]
    try:
        records = converted(vector, behaviour)
    except BadInput as exc:
        if "raises" not in vector["expected"]:
            yield f"refused: {exc}"
        return
    if "records" not in expected:
        return
    if vector["compare"] == "properties":
        yield from _property_differences(vector, records)
    else:
        yield from _record_differences(vector, expected["records"], records)


def converted(vector: Json, behaviour: Behaviour) -> list[Json]:
    """The records of a vector's documents. Raises `BadInput` when they, or the wishes, are refused."""
    args, given = vector["args"], vector["input"]
    first, second, parts = given["schema_lines"]
    lines = SchemaLines(_unique(first), _unique(second), {name: _unique(own) for name, own in parts.items()})
    is_training = args["split"] == "train"
    types = behaviour.training_types(args["task"], lines) if is_training else types_of(args["task"], lines)
    wishes = Wishes(
        task=args["task"],
        language=args["language"],
        split=args["split"],
        split_num=args["split_num"],
        neg_schema=args["neg_schema"],
        random_sort=args["random_sort"],
        rivals=args["hard_negative"] if args["cluster_mode"] else None,
        source=given["source_dir"],
    )
    target, refused = BytesIO(), list[str]()
    source = [json.dumps(document, ensure_ascii=False).encode() + b"\n" for document in given["docs"]]
    convert(
        source,
        target,
        lines=converter(wishes, types, behaviour=behaviour),
        report=lambda number, problem: refused.append(f"line {number}: {problem}"),
    )
    if refused:
        raise BadInput(" ".join(refused))
    return [json.loads(line) for line in target.getvalue().splitlines()]


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _record_differences(vector: Json, wanted: Sequence[Json], records: Sequence[Json]) -> Iterator[str]:
    if len(wanted) != len(records):
        yield f"{len(records)} records, not {len(wanted)}"
        return
    merged = {each["record"]: each["merged_output"] for each in vector.get("known_bug_spo_collision", [])}
    form = _canonical if vector["compare"] == "canonical" else dict
    for number, (want, record) in enumerate(zip(wanted, records, strict=True)):
        choices = [want, {**want, "output": merged[number]}] if number in merged else [want]
        if [*record] != [*want] or not any(form(record) == form(choice) for choice in choices):
            yield f"record {number} is {dump(record)}, not {dump(want)}"


def _canonical(record: Json) -> Json:
    """Roles and attributes, values and events in any order; of an EEA trigger list, its length."""
    asked = json.loads(record["instruction"])
    plain = {**record, "keys": [*asked], "instruction": {**asked, "schema": [_plain_item(i) for i in asked["schema"]]}}
    for key in ("instruction", "output"):
        if key in record and record[key] != dump(json.loads(record[key])):
            plain["style"] = record[key]
    if "output" in record:
        plain["output"] = _plain_output(record["output"])
    return plain


def _plain_item(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    plain = {key: sorted(value) if key in ("arguments", "attributes") else value for key, value in item.items()}
    if isinstance(item.get("trigger"), list):
        plain["trigger"] = len(item["trigger"])
    return [*plain.items()]


def _plain_output(output: str) -> Any:
    return [(key, _plain_value(value)) for key, value in json.loads(output).items()]


def _plain_value(value: Any) -> Any:
    if isinstance(value, list):
        return sorted((_plain_value(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    if isinstance(value, dict):
        return {key: _plain_value(value[key]) for key in sorted(value)}
    return value


def _property_differences(vector: Json, records: Sequence[Json]) -> Iterator[str]:
    """Document by document, in order; equal texts that follow each other are told apart by their labels' order."""
    left = [*records]
    for held in vector["property_docs"]:
        document = vector["input"]["docs"][held["doc"]]
        own = [*_records_of(left, document["text"])] if held["n_records_observed"] else []
        del left[: len(own)]
        if bool(own) != bool(held["n_records_observed"]):
            yield f"document {held['doc']}: {len(own)} records, the original wrote {held['n_records_observed']}"
        elif own:
            for problem in _document_differences(vector, held, own):
                yield f"document {held['doc']}: {problem}"
    if left:
        yield f"{len(left)} records that no document asks for"


def _records_of(records: Sequence[Json], text: str) -> Iterator[Json]:
    for record in records:
        if json.loads(record["instruction"])["input"] != text:
            return
        yield record


def _document_differences(vector: Json, held: Json, records: Sequence[Json]) -> Iterator[str]:
    questions = [json.loads(record["instruction"]) for record in records]
    for record, question in zip(records, questions, strict=True):
        yield from _shape_differences(vector, record, question)
    labels = [_label(item) for question in questions for item in question["schema"]]
    yield from _label_differences(vector, held, labels)
    if vector["task"] != "KG":
        sizes = [len(part) for part in split(labels, vector["args"]["split_num"])]
        if [len(question["schema"]) for question in questions] != sizes:
            yield f"questions are not of {sizes} labels"
    for record, question in zip(records, questions, strict=True):
        for item in question["schema"]:
            yield from _part_differences(vector, held, item)
        wanted = _wanted(held, question["schema"])
        if _plain_output(record["output"]) not in [_plain_output(dump(each)) for each in wanted]:
            yield f"output is {record['output']}, not {dump(wanted[0])}"


def _shape_differences(vector: Json, record: Json, question: Json) -> Iterator[str]:
    if [*record] != ["task", "source", "instruction", "output"] or [*question] != ["instruction", "schema", "input"]:
        yield f"its fields are {[*record]}, {[*question]}"
    if (record["task"], record["source"]) != (vector["task"], vector["input"]["source_dir"]):
        yield "task or source is wrong"
    if question["instruction"] != TEXTS[vector["args"]["language"]][vector["task"]]:
        yield "the instruction is another one"
    if any(record[key] != dump(json.loads(record[key])) for key in ("instruction", "output")):
        yield "the JSON is written otherwise"


def _label_differences(vector: Json, held: Json, labels: Sequence[str]) -> Iterator[str]:
    if len({*labels}) != len(labels):
        yield "a label is asked twice"
    if "labels_exact" in held and sorted(labels) != sorted(held["labels_exact"]):
        yield f"asks {labels}, not {held['labels_exact']}"
    if missing := {*held.get("labels_must_include", [])} - {*labels}:
        yield f"does not ask {missing}"
    if "labels_drawn_from" in held and not {*labels} <= {*held["labels_drawn_from"]}:
        yield f"asks {labels}, out of {held['labels_drawn_from']}"
    if held.get("labels_drawn_from") and not labels:
        yield "asks nothing"
    if "n_random_extra" in held and len(labels) != len(held["labels_must_include"]) + held["n_random_extra"]:
        yield f"asks {len(labels)} labels, with {held['n_random_extra']} beside the known ones"
    args = vector["args"]
    if not args["random_sort"] and not args["cluster_mode"] and labels != sorted(labels):
        yield "the labels are not sorted"


def _part_differences(vector: Json, held: Json, item: Any) -> Iterator[str]:
    document, share = vector["input"]["docs"][held["doc"]], vector["args"]["neg_schema"]
    _, attributes, parts = vector["input"]["schema_lines"]
    match vector["task"]:
        case "EE":
            events = [each for each in document["event"] if each["event_type"] == item["event_type"]]
            must = {argument["role"] for event in events for argument in event["arguments"]}
            yield from _drawn(item["arguments"], must, must | {*parts.get(item["event_type"], [])}, share)
        case "EEA":
            triggers = [e["event_trigger"] for e in document["event"] if e["event_type"] == item["event_type"]]
            if not item["trigger"] or any(
                item["trigger"].count(each) > triggers.count(each) for each in item["trigger"]
            ):
                yield f"the triggers {item['trigger']} are not those of its events"
            yield from _drawn(item["arguments"], set(), {*parts.get(item["event_type"], [])}, share)
        case "KG":
            if item["entity_type"] != next(iter(parts)) or not item["attributes"]:
                yield "not the first entity type with attributes"
            yield from _drawn(item["attributes"], set(), {*attributes}, share)


def _drawn(names: Sequence[str], must: set[str], may: set[str], share: float) -> Iterator[str]:
    if len({*names}) != len(names) or not must <= {*names} <= may or (share == 1 and {*names} != may):
        yield f"asks for {names}: of {may}, with {must}"


def _label(item: Any) -> str:
    if isinstance(item, str):
        return item
    if "predicate" in item:
        return f"{item['subject_type']}_{item['predicate']}_{item['object_type']}"
    return str(item.get("event_type") or item.get("entity_type"))


def _wanted(held: Json, schema: Sequence[Any]) -> list[Json]:
    """The right answer; a second one where the original overwrites the triples of a predicate with the last ones."""
    merged, last = Json(), Json()
    for item in schema:
        key = item["predicate"] if isinstance(item, dict) and "predicate" in item else _label(item)
        full = held["per_label_output"].get(_label(item), {} if _is_node(item) else [])
        value = _of_parts(item, full)
        merged[key] = merged[key] + value if key in merged else value
        last[key] = value
    return [merged, last]


def _of_parts(item: Any, full: Any) -> Any:
    """From the answer with every role or attribute to the one with those that `item` asks for."""
    if _is_node(item):
        return {head: {k: v for k, v in facts.items() if k in item["attributes"]} for head, facts in full.items()}
    if not isinstance(item, dict) or "event_type" not in item:
        return full
    return [{**event, "arguments": _of_roles(item["arguments"], event["arguments"])} for event in full]


def _is_node(item: Any) -> bool:
    return isinstance(item, dict) and "entity_type" in item


def _of_roles(roles: Sequence[str], arguments: Json) -> Json:
    found = {role: arguments.get(role, "NAN") for role in roles}
    return found if any(value != "NAN" for value in found.values()) else {}
