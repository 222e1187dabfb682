"""Labels into OneKE's form and Label Studio's and back. Offsets are code points there; UTF-16 ones are understood."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_producer.labels.task import label_of, labels_of
from sluice_schemas import shelf
from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Extraction
from sluice_schemas.label import Label
from sluice_schemas.labels import annotation, labelstudio, oneke
from sluice_schemas.labels.validate import checked
from sluice_schemas.schema import ExtractionSchema

# An emoji and a Han beyond U+FFFF before all values: each is two units of UTF-16.
TEXT = "😀𠮷 Anna Berg bought Krupp\nin Ulm, and Anna Berg sold Krupp."
LIBRARY = shelf.library()
NER, RE, SPO = (LIBRARY[f"news/{name}-en@1"] for name in ("entities", "relations", "triples"))
EE, EET, EEA = (LIBRARY[f"news/{name}-en@1"] for name in ("events", "event-triggers", "event-arguments"))
KG = LIBRARY["news/profiles-en@1"]


def value(text: str, type_: str | None = None, *, nth: int = 0) -> dict[str, Any]:
    start = -1
    for _ in range(nth + 1):
        start = TEXT.index(text, start + 1)
    return {"text": text, "type": type_, "span": {"start": start, "end": start + len(text)}, "status": "exact"}


def event(schema: ExtractionSchema, trigger: str | None, *values: str) -> dict[str, Any]:
    kind = schema.types[0]
    arguments = [{"role": role.name, "value": value(each)} for role, each in zip(kind.roles, values, strict=False)]
    return {"type": kind.name, "trigger": value(trigger) if trigger else None, "arguments": arguments}


def relation(schema: ExtractionSchema, head: str, tail: str) -> dict[str, Any]:
    kind = schema.types[0]
    if schema.task == "KG":
        return {"type": kind.attributes[0].name, "head": value(head, kind.name), "tail": value(tail)}
    return {"type": kind.name, "head": value(head, kind.subject_type), "tail": value(tail, kind.object_type)}


SAID: list[tuple[ExtractionSchema, dict[str, Any]]] = [
    (NER, {"entities": [value("Anna Berg", "person"), value("Anna Berg", "person", nth=1), value("Ulm", "location")]}),
    (NER, {}),  # nothing stands there
    (RE, {"relations": [relation(RE, "Anna Berg", "Krupp"), relation(RE, "Anna Berg", "Ulm")]}),
    (SPO, {"relations": [relation(SPO, "Anna Berg", "Krupp")]}),
    (EE, {"events": [event(EE, "bought", "Anna Berg", "Krupp"), event(EE, "sold", "Krupp")]}),
    (EE, {"events": [event(EE, None, "Anna Berg", "Krupp")]}),  # without a trigger
    (EET, {"events": [event(EET, "bought"), event(EET, "sold")]}),
    (EEA, {"events": [event(EEA, "bought", "Anna Berg")]}),
    (KG, {"entities": [value("Anna Berg", KG.types[0].name)], "relations": [relation(KG, "Anna Berg", "Ulm")]}),
]
IDS = [f"{schema.task}{number}" for number, (schema, _) in enumerate(SAID)]


def label(schema: ExtractionSchema, facts: dict[str, Any]) -> Label:
    document = {"id": "d", "text": TEXT, "language": "en", "version": 3}
    about = {"document": document, "schema_ref": schema.ref, "verdict": "imported", "author": "me"}
    return checked(Label.of({**about, **facts}), schema)


@pytest.mark.parametrize(("schema", "facts"), SAID, ids=IDS)
def test_a_label_comes_back_from_label_studio_as_it_went(schema: ExtractionSchema, facts: dict[str, Any]) -> None:
    said = label(schema, facts)
    task = {"id": 7, **labelstudio.task_of(said)}
    (back,) = labels_of(task, schema, author="me")
    assert checked(back, schema) == said


@pytest.mark.parametrize(("schema", "facts"), SAID, ids=IDS)
def test_a_label_comes_back_from_onekes_form(schema: ExtractionSchema, facts: dict[str, Any]) -> None:
    line = oneke.write(label(schema, facts), schema.task)
    back = label(schema, oneke.read(line, schema.task))
    assert oneke.write(back, schema.task) == line
    assert all(region for region in _spans(back)), "each value has found a place"


def _spans(said: Label) -> list[Any]:
    return [each.span for each in said.entities] + [each.head.span and each.tail.span for each in said.relations]


def test_offsets_for_label_studio_count_code_points() -> None:
    """As its editor does: web/libs/editor/src/utils/selection-tools.js, charsToCodePoints."""
    (region, *_) = labelstudio.task_of(label(NER, SAID[0][1]))["annotations"][0]["result"]
    start, end = region["value"]["start"], region["value"]["end"]
    assert (start, end, [*TEXT][start:end]) == (3, 12, [*"Anna Berg"])


@pytest.mark.parametrize(
    ("start", "end", "words", "expected"),
    [
        (3, 12, "Anna Berg", (3, 12)),  # code points
        (5, 14, "Anna Berg", (3, 12)),  # UTF-16 units, from an editor of before 2022
        (0, 2, "😀𠮷", (0, 2)),  # code points
        (0, 4, "😀𠮷", (0, 2)),  # UTF-16 units
        (20, 28, "Krupp\\nin", (20, 28)),  # the editor writes a line break as two characters
        (3, 12, None, (3, 12)),  # without its words a region is taken by its offsets
    ],
)
def test_regions_are_understood_in_either_count(
    start: int, end: int, words: str | None, expected: tuple[int, int]
) -> None:
    given = {"start": start, "end": end, "labels": ["person"], **({"text": words} if words else {})}
    facts = annotation.facts_of([{"id": "a", "type": "labels", "value": given}], TEXT, NER)
    (found,) = facts["entities"]
    assert (found.span.start, found.span.end) == expected
    assert found.text == TEXT[slice(*expected)]


def region(name: str = "person", **value: Any) -> dict[str, Any]:
    return {"id": "a", "type": "labels", "value": {"start": 3, "end": 12, "labels": [name], **value}}


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([region(labels=[])], r"Region 'a' \[3, 12\) has no label"),
        ([region(start=4, text="Anna Berg")], r"Region 'a' \[4, 12\): other words stand there"),
        ([region(end=999)], r"the text of its task, which has 59 characters"),
        ([region(start="3")], "it needs start and end"),
        ([region(), {"type": "relation", "from_id": "a", "to_id": "b", "labels": ["x"]}], "names the region 'b'"),
        ([region(), {"type": "relation", "from_id": "a", "to_id": "a", "labels": []}], "has no label; give it one"),
        ("nonsense", "a list of regions"),
    ],
)
def test_what_an_annotation_lacks_is_named(items: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        annotation.facts_of(items, TEXT, NER)


def test_relations_go_the_way_that_their_arrow_does() -> None:
    ends = [region("(value)"), {**region("(value)", start=20, end=25), "id": "b"}]
    for direction, pairs in (("right", {"ab"}), ("left", {"ba"}), ("bi", {"ab", "ba"})):
        arrow = {"type": "relation", "from_id": "a", "to_id": "b", "direction": direction, "labels": ["founder"]}
        found = annotation.facts_of([*ends, arrow], TEXT, RE)["relations"]
        names = {"Anna Berg": "a", "Krupp": "b"}
        assert {names[each.head.text] + names[each.tail.text] for each in found} == pairs


def test_what_is_drawn_twice_counts_once() -> None:
    again = {**region(), "id": "b"}
    assert len(annotation.facts_of([region(), again], TEXT, NER)["entities"]) == 1


def test_the_newest_annotation_comes_last_and_a_skipped_one_not_at_all() -> None:
    task = labelstudio.task_of(label(NER, {}))
    drawn = [
        {"result": [region("location")], "updated_at": "2026-02-02T00:00:00Z"},
        {"result": [region("person")], "updated_at": "2026-01-01T00:00:00Z"},
        {"result": [], "was_cancelled": True, "updated_at": "2026-03-03T00:00:00Z"},
    ]
    found = labels_of({**task, "annotations": drawn}, NER, author="me")
    assert [each.entities[0].type for each in found] == ["person", "location"]


def test_a_task_of_another_schema_is_refused() -> None:
    task = labelstudio.task_of(label(NER, {}))
    with pytest.raises(BadInput, match="is of the schema"):
        label_of(task, {"result": []}, RE, author="me")
    with pytest.raises(BadInput, match=r"has no data\.text"):
        label_of({"data": {"ner": "x"}}, {"result": []}, NER, author="me")


def test_results_become_predictions_with_their_scores() -> None:
    sure, unsure = ({**value(text), "confidence": score} for text, score in (("Anna Berg", 0.9), ("Krupp", 0.4)))
    absent = {"text": "Bob", "status": "absent", "confidence": 0.1}
    kind = RE.types[0].name
    about = {"job_id": "j", "document_id": "d", "schema_ref": RE.ref, "task": "RE", "language": "en", "model": "m"}
    facts = [{"type": kind, "head": sure, "tail": tail} for tail in (unsure, absent)]
    task = labelstudio.prediction_of(Extraction.of({**about, "adapter": "sha256:1", "relations": facts, "text": TEXT}))
    (prediction,) = task["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("m sha256:1", 0.4)
    head, tail, arrow = prediction["result"]
    assert (head["value"]["labels"], head["score"], tail["score"]) == (["(value)"], 0.9, 0.4)
    assert (arrow["from_id"], arrow["to_id"], arrow["labels"], arrow["score"]) == (head["id"], tail["id"], [kind], 0.4)
    assert task["data"]["job_id"] == "j"
    with pytest.raises(BadInput, match="has no text"):
        labelstudio.prediction_of(Extraction.of(about))


@pytest.mark.parametrize("schema", LIBRARY.values(), ids=LIBRARY)
def test_a_configuration_offers_all_that_a_label_may_say(schema: ExtractionSchema) -> None:
    config = labelstudio.config(schema)
    names = [each.name for each in schema.types]
    names += [part.name for each in schema.types for part in (*each.roles, *each.attributes)]
    assert all(f'value="{name}"' in config for name in names)
    assert "pre-wrap" in config, "else offsets count a text without its spaces"


def test_names_are_escaped_in_a_configuration() -> None:
    schema = ExtractionSchema.of({**NER.model_dump(), "types": [{"name": 'R&D "<lab>"'}]})
    assert "<Label value='R&amp;D \"&lt;lab&gt;\"'/>" in labelstudio.config(schema)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": TEXT}, "needs 'entity', a list"),
        ({"text": TEXT, "entity": [{"entity": "Ulm"}]}, "Item 0 of the line needs 'entity_type'"),
        ({"text": TEXT, "entity": [{"entity": 3, "entity_type": "person"}]}, "Item 0 of the line needs 'entity'"),
    ],
)
def test_a_line_that_is_no_annotation_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        oneke.read(fields, "NER")


def test_what_a_line_says_too_often_counts_as_often_as_it_stands_there() -> None:
    item = {"entity": "Ulm", "entity_type": "location"}
    assert len(oneke.read({"text": TEXT, "entity": [item, item]}, "NER")["entities"]) == 1
    event = {"event_type": "x", "event_trigger": "NAN", "arguments": [{"role": "r", "argument": "NAN"}]}
    (found,) = oneke.read({"text": TEXT, "event": [event]}, "EE")["events"]
    assert (found.trigger, found.arguments) == (None, ())


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70) | st.just(2**70) | st.sampled_from(["a", "b", "", "person"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "id", "value"]), inner),
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects as they should be, and others in which any field may be missing, or anything else."""
    wild = st.fixed_dictionaries({}, optional={name: each | ANY for name, each in fields.items()})
    return st.fixed_dictionaries(fields) | wild


STARTS, ENDS_AT = st.integers(0, 9) | st.just(True), st.integers(5, 70) | st.just(2**70)
MARKED = objects(start=STARTS, end=ENDS_AT, labels=st.just(["person"]), text=st.just("Anna Berg") | st.none())
REGIONS = objects(type=st.just("labels"), id=st.sampled_from("ab"), value=MARKED, meta=objects(text=st.just(["x"])))
ENDS = {"from_id": st.sampled_from("ab"), "to_id": st.sampled_from("ab")}
ARROWS = objects(type=st.just("relation"), labels=st.just(["founder"]), direction=st.just("bi"), **ENDS)
WORDS = st.sampled_from(["Anna Berg", "Krupp", "person", "NAN"])
NAMES = ("entity", "entity_type", "event_type", "event_trigger", "relation", "head", "tail", "head_type", "tail_type")
PARTS = st.lists(objects(argument=WORDS, role=WORDS), max_size=2)
ITEMS = objects(**dict.fromkeys(NAMES, WORDS), arguments=PARTS)


@given(st.lists(REGIONS | ARROWS, max_size=4) | ANY, st.sampled_from([NER, RE, SPO, EE, EET, EEA, KG]))
def test_whatever_an_annotation_holds_it_is_a_label_or_bad_input(found: Any, schema: ExtractionSchema) -> None:
    with contextlib.suppress(BadInput):
        checked(label_of({"data": {"text": TEXT}}, {"result": found}, schema, author="me"), schema)


@given(st.lists(ITEMS, max_size=3) | ANY, st.sampled_from([NER, RE, SPO, EE, EET, EEA, KG]))
def test_whatever_a_line_holds_it_is_a_label_or_bad_input(found: Any, schema: ExtractionSchema) -> None:
    with contextlib.suppress(BadInput):
        label(schema, oneke.read({"text": TEXT, oneke.FIELD[schema.task]: found}, schema.task))


@given(objects(data=objects(text=st.just(TEXT), document_id=WORDS, document_version=ANY, job_id=WORDS, language=ANY)))
def test_whatever_a_task_says_of_its_document_it_is_a_label_or_bad_input(task: dict[str, Any]) -> None:
    with contextlib.suppress(BadInput):
        label_of(task, {"result": []}, NER, author="me")
