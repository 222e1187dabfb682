"""Facts as JSON-LD: same facts, same names; each with the place it came from."""

from collections import defaultdict
from typing import Any

import pyoxigraph as ox
import pytest

from sluice_schemas.extraction import Argument, EventMention, Extraction, Mention, Passage, Relation, Span
from sluice_schemas.job import Job
from sluice_schemas.linked_data import VOCABULARY, document_iri, entity_iri, linked_data
from sluice_schemas.wire import json_bytes

TEXT = "Ada Lovelace lived in London. 爱达😀住在伦敦。"


def mention(text: str, type: str | None = None) -> Mention:
    start = TEXT.index(text)
    return Mention(text=text, type=type, span=Span(start=start, end=start + len(text)), status="exact", confidence=0.5)


ADA, LONDON = mention("Ada Lovelace", "person"), mention("London", "place")
EVENT = EventMention(type="residence", trigger=mention("lived"), arguments=(Argument(role="who/what", value=ADA),))


def job(document: str = "d", **changes: Any) -> Job:
    fields = {"id": f"job-{document}", "state": "succeeded", "document_id": document, "schema_ref": "n/x@1"}
    return Job.model_validate(fields | {"priority": "bulk", "accepted_at": 1.0, "ended_at": 2.5} | changes)


def extraction(**changes: Any) -> Extraction:
    fields: dict[str, Any] = {"job_id": "j", "document_id": "d", "schema_ref": "n/x@1", "task": "RE", "language": "en"}
    said: dict[str, Any] = {
        "entities": (ADA, mention("伦敦", "place")),
        "relations": (Relation(type="lives in", head=ADA, tail=LONDON),),
        "events": (EVENT,),
        "passages": (Passage(start=0, end=30, text=TEXT[:30]), Passage(start=30, end=len(TEXT), text=TEXT[30:])),
    }
    return Extraction.model_validate(fields | {"model": "m", "adapter": "sha256-a"} | said | changes)


def triples(job: Job, extraction: Extraction) -> list[ox.Quad]:
    return [*ox.parse(json_bytes(linked_data(job, extraction)), format=ox.RdfFormat.JSON_LD)]


def store(*documents: tuple[Job, Extraction]) -> ox.Store:
    held = ox.Store()
    for each in documents:
        held.extend(triples(*each))
    return held


def ask(held: ox.Store, query: str) -> list[tuple[str, ...]]:
    prefixes = f"PREFIX : <{VOCABULARY}> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> "
    prefixes += "PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> "
    found: Any = held.query(prefixes + query)
    return sorted(tuple(value.value for value in row) for row in found)


def test_an_edge_leads_to_its_evidence_and_that_to_the_characters() -> None:
    held = store((job(), extraction()))
    assert ask(held, f"SELECT ?edge {{ <{entity_iri('Ada Lovelace')}> ?edge <{entity_iri('London')}> }}") == [
        ("urn:sluice:relation:lives%20in",)
    ]
    found = ask(
        held,
        """SELECT ?role ?start ?end ?said ?in { ?fact rdf:predicate/rdfs:label "lives in" . ?proof :supports ?fact ;
        :mention ?m . ?m :role ?role ; :start ?start ; :end ?end ; :text ?said ; :passage/:text ?in }""",
    )
    assert found == [("head", "0", "12", "Ada Lovelace", TEXT[:30]), ("tail", "22", "28", "London", TEXT[:30])]
    assert all(TEXT[int(start) : int(end)] == said for _, start, end, said, _ in found)


def test_provenance_says_which_document_which_model_and_when() -> None:
    held = store((job("a/b:c", document_version=3), extraction()))
    found = ask(
        held,
        """SELECT DISTINCT ?document ?version ?model ?adapter ?when { ?proof a :Evidence ;
        prov:wasDerivedFrom ?document ; prov:wasGeneratedBy ?run .
        ?document :version ?version . ?run prov:wasAssociatedWith ?agent ;
        prov:endedAtTime ?when . ?agent rdfs:label ?model ; :adapter ?adapter }""",
    )
    assert found == [(document_iri("default", "a/b:c"), "3", "m", "sha256-a", "1970-01-01T00:00:02.5Z")]


def test_two_documents_that_say_the_same_give_one_edge_with_two_proofs() -> None:
    held = store((job("a"), extraction()), (job("b"), extraction()))
    assert len(ask(held, "SELECT ?fact { ?fact a rdf:Statement }")) == 1
    assert len(ask(held, "SELECT ?proof { ?proof :supports/a rdf:Statement }")) == 2
    assert len(ask(held, "SELECT ?event { ?event a :Event }")) == 1


@pytest.mark.parametrize("spelt", ["ADA LOVELACE", "Ada  Lovelace", "Ａｄａ Lovelace"])
def test_case_width_and_spaces_do_not_make_another_entity(spelt: str) -> None:
    assert entity_iri(spelt) == entity_iri("Ada Lovelace") != entity_iri("Ada Loveless")


def test_events_that_name_nothing_are_not_taken_for_one_another() -> None:
    bare = extraction(events=(EventMention(type="quake"),))
    held = store((job("a"), bare), (job("b"), bare))
    assert len(ask(held, "SELECT ?event { ?event a :Event }")) == 2


@pytest.mark.parametrize("hostile", ["<script>", '"> <x> .', "a b\\", "é\u0301\u202e", "}", "@id", "urn:x:y"])
def test_no_name_or_text_breaks_out_of_its_place(hostile: str) -> None:
    said = Mention(text=hostile, type=hostile)
    fact = Relation(type=hostile, head=said, tail=said)
    held = store((job(hostile), extraction(entities=(said,), relations=(fact,), events=(), passages=())))
    labels = [text for _, text in ask(held, "SELECT ?x ?text { ?x rdfs:label ?text }")]
    assert labels.count(hostile) == 4  # the document, the entity, its class and the relation
    loop = Relation(type="r", head=ADA, tail=ADA)
    plain = store((job("plain"), extraction(entities=(ADA,), relations=(loop,), events=(), passages=())))
    kinds: dict[str, set[str]] = defaultdict(set)
    for name, graph in (("hostile", held), ("plain", plain)):
        kinds[name] = {str(each.predicate) for each in graph if "relation:" not in str(each.predicate)}
    assert kinds["hostile"] <= kinds["plain"]


def test_what_was_not_found_is_said_without_a_place() -> None:
    absent = Mention(text="Atlantis", type="place")
    held = store((job(), extraction(entities=(absent,), relations=(), events=(), passages=())))
    assert ask(held, 'SELECT ?status { ?m :text "Atlantis" ; :status ?status }') == [("absent",)]
    assert ask(held, "SELECT ?start { ?m :start ?start }") == []
