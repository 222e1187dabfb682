"""A label is held against schema and text; what does not fit is named by its place, never by text of the document."""

from typing import Any

import pytest

from sluice_schemas import shelf
from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Mention, Span
from sluice_schemas.label import Label
from sluice_schemas.labels.validate import checked
from sluice_schemas.schema import ExtractionSchema

TEXT = "Anna Berg hired Anna Berg's son in Ulm. 𠮷野家 opened in Café Cafe\u0301 Ulm 😀 2021."
NER = shelf.library()["news/entities-en@1"]
RE = shelf.library()["news/relations-en@1"]
SPO = shelf.library()["news/triples-en@1"]
EE = shelf.library()["news/events-en@1"]
EET = shelf.library()["news/event-triggers-en@1"]
KG = shelf.library()["news/profiles-en@1"]


def label(schema: ExtractionSchema, text: str = TEXT, **facts: Any) -> Label:
    about = {"document": {"id": "d", "text": text}, "schema_ref": schema.ref, "verdict": "imported", "author": "me"}
    return Label.of({**about, **facts})


def person(text: str, start: int | None = None, **more: Any) -> dict[str, Any]:
    span = {} if start is None else {"span": {"start": start, "end": start + len(text)}, "status": "exact"}
    return {"text": text, "type": "person", **span, **more}


def spans(*mentions: Mention | None) -> list[tuple[int, int]]:
    return [(each.span.start, each.span.end) for each in mentions if each and each.span]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([person("Anna Berg", 16)], [(16, 25)]),  # as it is
        ([person("Anna Berg"), person("Anna Berg")], [(0, 9), (16, 25)]),  # without spans: successive places
        ([person("Anna Berg"), person("Anna Berg", 0)], [(16, 25), (0, 9)]),  # the place that is free
        ([person("𠮷野家")], [(40, 43)]),  # a rare Han is one character
        ([person("Ulm", 65)], [(65, 68)]),  # behind it too
        ([person("Cafe\u0301")], [(59, 64)]),  # as the text has it
        ([person("on")], [(29, 31)]),  # within a word, where it stands nowhere else
        ([], []),  # nothing stands there
    ],
)
def test_values_stand_where_the_text_has_them(given: list[dict[str, Any]], expected: list[tuple[int, int]]) -> None:
    found = checked(label(NER, entities=given), NER).entities
    assert spans(*found) == expected
    assert [each.text for each in found] == [TEXT[start:end] for start, end in expected]
    assert {each.status for each in found} <= {"exact"}


def test_the_same_character_in_another_normal_form_is_found() -> None:
    (found,) = checked(label(NER, "In Cafe\u0301 Ulm", entities=[person("Café")]), NER).entities
    assert (found.text, spans(found)) == ("Cafe\u0301", [(3, 8)])


def test_whole_words_come_before_parts_of_words() -> None:
    (found,) = checked(label(NER, "The campus of us", entities=[person("us")]), NER).entities
    assert spans(found) == [(14, 16)]


def test_what_a_model_found_nearly_reads_as_the_text_does() -> None:
    given = person("ANNA BERG", 0, status="normalised", confidence=0.4)
    (found,) = checked(label(NER, entities=[given]), NER).entities
    assert found == Mention(text="Anna Berg", type="person", span=Span(start=0, end=9), status="exact")


WRONG: list[tuple[ExtractionSchema, dict[str, Any], str]] = [
    (
        NER,
        {"entities": [person("Anna Berg", type="dog")]},
        r"entities\[0\]: the schema has no type 'dog'; it has person",
    ),
    (NER, {"entities": [{"text": "Ulm"}]}, r"entities\[0\]: the schema has no type ''"),
    (NER, {"entities": [person("Bob")]}, r"entities\[0\] \('person'\): its value stands nowhere in the text"),
    (NER, {"entities": [person("Anna Berg", 1)]}, r"\[1, 10\): something else stands there, its value at \[0, 9\)"),
    (NER, {"entities": [person("Bob", 1)]}, r"\[1, 4\): .* \(3 characters\) nowhere"),
    (NER, {"entities": [person("Anna Berg", 90)]}, r"\[90, 99\): the text has 76 characters, its value at"),
    # Counted in UTF-16, where the rare Han before it takes two.
    (NER, {"entities": [person("Ulm", 66)]}, r"\[66, 69\): .*, but it fits if it counts UTF-16 units"),
    (NER, {"entities": [person("Ulm", 35), person("Ulm", 35)]}, r"entities\[1\] says the same as entities\[0\]"),
    (NER, {"entities": [person("son"), person("son")]}, r"entities\[1\] says the same as entities\[0\]"),
    (NER, {"relations": [{"type": "x", "head": {"text": "Ulm"}, "tail": {"text": "Ulm"}}]}, "asks for entities"),
    (RE, {"entities": [person("Ulm")]}, "it has entities, and a schema of RE asks for relations"),
    (RE, {"relations": [{"type": "x", "head": {"text": "Ulm"}, "tail": {"text": "Ulm"}}]}, r"relations\[0\]: .* 'x'"),
    (EE, {"events": [{"type": "war", "trigger": {"text": "hired"}}]}, r"events\[0\]: the schema has no type 'war'"),
    (EE, {"events": [{"type": EE.types[0].name}]}, r"events\[0\]: it has neither trigger nor arguments"),
    (EET, {"events": [{"type": EET.types[0].name}]}, r"EET asks for a trigger"),
    (NER, {"schema_ref": "other@1"}, "made under 'other@1'"),
    (NER, {"author": "a\nb"}, "author holds a control character"),
]


@pytest.mark.parametrize(("schema", "facts", "words"), WRONG)
def test_what_does_not_fit_is_named(schema: ExtractionSchema, facts: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        checked(label(schema, **facts), schema)
    for words_of_text in ("hired", "son in", "opened"):
        assert words_of_text not in str(refused.value)


def test_many_faults_are_counted() -> None:
    with pytest.raises(BadInput, match="; and 4 more"):
        checked(label(NER, entities=[person(f"Bob {n}") for n in range(9)]), NER)


def test_a_role_that_the_event_does_not_have_is_named() -> None:
    event = {"type": EE.types[0].name, "arguments": [{"role": "cook", "value": {"text": "Ulm"}}]}
    with pytest.raises(BadInput, match=r"events\[0\].arguments\[0\]: the schema has no role 'cook'"):
        checked(label(EE, events=[event]), EE)


def test_a_relation_stands_where_its_ends_are_nearest() -> None:
    given = {"type": RE.types[0].name, "head": {"text": "Anna Berg"}, "tail": {"text": "son"}}
    (found,) = checked(label(RE, relations=[given]), RE).relations
    assert spans(found.head, found.tail) == [(16, 25), (28, 31)]


def test_an_argument_stands_near_its_trigger() -> None:
    text = "In Ulm nothing. Berg bought Krupp in Ulm."
    kind = EE.types[0]
    event = {
        "type": kind.name,
        "trigger": {"text": "bought"},
        "arguments": [{"role": kind.roles[0].name, "value": {"text": "Ulm"}}],
    }
    (found,) = checked(label(EE, text, events=[event]), EE).events
    assert spans(found.trigger, found.arguments[0].value) == [(21, 27), (37, 40)]


def test_a_predicate_gets_the_types_that_only_it_can_have() -> None:
    asked = SPO.types[0]
    given = {"type": asked.name, "head": {"text": "Anna Berg"}, "tail": {"text": "son"}}
    (found,) = checked(label(SPO, relations=[given]), SPO).relations
    assert (found.head.type, found.tail.type) == (asked.subject_type, asked.object_type)
    with pytest.raises(BadInput, match="say so in head"):
        checked(label(SPO, relations=[{**given, "head": {"text": "Anna Berg", "type": "dog"}}]), SPO)


def test_an_attribute_belongs_to_its_entity() -> None:
    owner = KG.types[0]
    entity = {"text": "Anna Berg", "type": owner.name, "span": {"start": 16, "end": 25}, "status": "exact"}
    given = {"type": owner.attributes[0].name, "head": {"text": "Anna Berg"}, "tail": {"text": "Ulm"}}
    found = checked(label(KG, entities=[entity], relations=[given]), KG)
    assert found.relations[0].head == found.entities[0]
    assert spans(found.relations[0].tail) == [(35, 38)]
    with pytest.raises(BadInput, match=rf"relations\[0\].head: .* belongs to {owner.name}"):
        checked(label(KG, relations=[{**given, "head": {"text": "Anna Berg", "type": KG.types[1].name}}]), KG)
