"""SPARQL over HTTP: it reads, and neither writes, calls others, nor takes more time or rows than it may."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from knowledge.knowledge_events import completed
from knowledge.knowledge_stage import Base, serving

from sluice_knowledge import asking
from sluice_knowledge.sparql import calls_others

ADA = ("Ada Lovelace", "lives in", "London")
QUERY_S = 1.5


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    with serving(tmp_path_factory.mktemp("sparql"), query_s=QUERY_S) as found:
        found.send(completed(ADA), "1")
        found.send(completed(*((f"n{number}", "is", "one") for number in range(300)), document="many"), "2")
        yield found


def post(base: Base, text: str, kind: str = "application/sparql-query") -> httpx.Response:
    return base.client.post("/sparql", content=text.encode(), headers={"content-type": kind})


FIND = 'SELECT ?x { ?x <http://www.w3.org/2000/01/rdf-schema#label> "London" }'
LONDON = {"type": "uri", "value": "urn:sluice:entity:0f6257fc024ba173e7fa000edf862c03"}
FOUND = {"head": {"vars": ["x"]}, "results": {"bindings": [{"x": LONDON}]}, "cut": False}


def test_all_ways_of_asking(base: Base) -> None:
    answers = [
        base.client.get("/sparql", params={"query": FIND}),
        base.client.post("/sparql", data={"query": FIND}),
        post(base, FIND, "application/sparql-query; charset=utf-8"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()) == (200, FOUND)
        assert answer.headers["content-type"].startswith("application/sparql-results+json")
    assert post(base, "ASK { ?s ?p ?o }").json()["boolean"] is True
    made = post(base, f"CONSTRUCT {{ ?x a <urn:x> }} WHERE {FIND[10:]}")
    assert made.headers["content-type"].startswith("application/n-triples")
    assert made.text == f"<{LONDON['value']}> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <urn:x> .\n"


def test_terms_of_all_kinds(base: Base) -> None:
    rows = post(base, 'SELECT ("a"@en AS ?x) (1.5 AS ?y) (BNODE() AS ?z) (<< <urn:a> <urn:b> 1 >> AS ?t) ?none {}')
    if rows.status_code == 400:  # triples are written otherwise in the drafts of SPARQL 1.2
        rows = post(
            base, 'SELECT ("a"@en AS ?x) (1.5 AS ?y) (BNODE() AS ?z) (<<( <urn:a> <urn:b> 1 )>> AS ?t) ?none {}'
        )
    (row,) = rows.json()["results"]["bindings"]
    assert row["x"] == {"type": "literal", "value": "a", "xml:lang": "en"}
    assert row["y"] == {"type": "literal", "value": "1.5", "datatype": "http://www.w3.org/2001/XMLSchema#decimal"}
    assert (row["z"]["type"], row["t"]["type"], "none" in row) == ("bnode", "triple", False)
    assert row["t"]["value"]["object"]["value"] == "1"


def test_what_was_just_taken_is_found(base: Base) -> None:
    base.send(completed(("just", "now", "here")), "3")
    assert len(post(base, FIND.replace("London", "just")).json()["results"]["bindings"]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "DROP ALL",
        "INSERT DATA { <urn:a> <urn:b> <urn:c> }",
        "DELETE WHERE { ?s ?p ?o }",
        "LOAD <http://127.0.0.1:1/>",
        "SELECT * { ?s ?p ?o } ; DROP ALL",
        "SELECT",
        "",
        "SELECT ?x { ?x",
    ],
)
def test_updates_and_nonsense_are_refused(base: Base, text: str) -> None:
    before = base.get("/health")
    for answer in (post(base, text), base.client.get("/sparql", params={"query": text})):
        assert answer.status_code == 400
        assert answer.json()["detail"].endswith(".")
    assert base.get("/health") == before


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("update=DROP+ALL", "application/x-www-form-urlencoded"),
        ("query=a&query=b", "application/x-www-form-urlencoded"),
        (FIND, "text/plain"),
        (FIND, "application/sparql-update"),
    ],
)
def test_other_forms_are_refused(base: Base, body: str, kind: str) -> None:
    assert post(base, body, kind).status_code == 400


def test_queries_without_end_are_refused(base: Base) -> None:
    assert post(base, "#" * (65 << 10)).status_code == 413
    assert (
        base.client.post("/sparql", content=b"\xff", headers={"content-type": "application/sparql-query"}).status_code
        == 400
    )
    assert base.client.get("/sparql").status_code == 400


def test_a_query_that_takes_too_long_is_ended(base: Base) -> None:
    endless = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . FILTER(?c = ?i) }"
    started = time.monotonic()
    answer = post(base, endless)
    assert (answer.status_code, time.monotonic() - started < QUERY_S + 2) == (503, True)
    assert "1.5 s" in answer.json()["detail"]
    # It is gone, with its copy of the store: others get their turn.
    assert [*(base.graph.folder.parent / "snapshots").iterdir()] == []
    assert post(base, FIND).status_code == 200


def test_rows_are_bounded_and_that_is_said(base: Base) -> None:
    answer = post(base, "SELECT ?a ?b { ?a <urn:sluice:relation:is> ?c . ?b <urn:sluice:relation:is> ?d }")
    assert (len(answer.json()["results"]["bindings"]), answer.json()["cut"]) == (asking.MAX_ROWS, True)
    assert answer.headers["sluice-cut"] == "true"


# Ways to write a SERVICE clause, and to hide one.
CALLS = [
    "SELECT * { SERVICE <URL> { ?s ?p ?o } }",
    "SELECT * { service silent <URL> { ?s ?p ?o } }",
    "SELECT * { ?s ?p 1SERVICE<URL>{ ?a ?b ?c } }",
    "SELECT * { ?s ?p trueSERVICE<URL>{ ?a ?b ?c } }",
    "SELECT * { SERVICE#comment\n<URL> { ?s ?p ?o } }",
    "SELECT * { SERVICE #c\r#d\n SILENT#e\n<URL> { ?s ?p ?o } }",
    "PREFIX x: <URL> SELECT * { SERVICE x: { ?s ?p ?o } }",
    "PREFIX x: <URL> SELECT * { SERVICE SILENT x: { ?s ?p ?o } }",
    "PREFIX : <URL> SELECT * { SERVICE : { ?s ?p ?o } }",
    "PREFIX é.-x: <URL> SELECT * { SERVICE é.-x: { ?s ?p ?o } }",
    "BASE <URL> SELECT * { SERVICE <> { ?s ?p ?o } }",
    "SELECT * { BIND(<URL> AS ?u) SERVICE ?u { ?s ?p ?o } }",
    "SELECT * { VALUES $u { <URL> } SERVICE $u { ?s ?p ?o } }",
    "PREFIX a: <URL> SELECT * { ?a ?p ?b FILTER(?a<?b)SERVICE a:#>\n{ ?s ?p ?o } }",
    'SELECT * { BIND("#" AS ?x) SERVICE <URL> { ?s ?p ?o } }',
    "SELECT * { # it's\n SERVICE <URL> { ?s ?p ?o } }",
    "SELECT * { \\u0053ERVICE <URL> { ?s ?p ?o } }",
    "SELECT * { SERVICE \\u003cURL\\u003e { ?s ?p ?o } }",
    "ASK { FILTER EXISTS { SERVICE <URL> { ?s ?p ?o } } }",
    "CONSTRUCT { ?s ?p ?o } WHERE { { SELECT * { SERVICE <URL> { ?s ?p ?o } } } }",
    "DESCRIBE ?s { SERVICE <URL> { ?s ?p ?o } }",
    "SELECT * FROM <URL> { ?s ?p ?o }",
    "SELECT * FROM NAMED <URL> { GRAPH <URL> { ?s ?p ?o } }",
    "SELECT * { GRAPH <URL> { ?s ?p ?o } }",
]


@pytest.mark.parametrize("text", CALLS)
def test_nobody_is_called(base: Base, text: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ear:
        callers: list[Any] = []
        ear.settimeout(0.02)
        post(base, text.replace("URL", f"http://127.0.0.1:{ear.getsockname()[1]}/"))
        with suppress(TimeoutError):
            callers.append(ear.accept())
        assert callers == []
    assert calls_others(text) == ("service" in text.lower() or "\\u0053" in text)


@pytest.mark.parametrize(
    "text",
    [
        'SELECT ?x { ?x ?p "customer service" }',
        'SELECT ?x { ?x ?p ?l FILTER(CONTAINS(?l, "service desk")) }',
        "SELECT ?service { ?service ?p ?o }",
        "SELECT ?x { ?x <urn:sluice:relation:service> ?y }",
        "SELECT ?x { ?x a <urn:sluice:class:service> }",
    ],
)
def test_the_word_alone_is_no_call(text: str) -> None:
    assert not calls_others(text)


def test_answers_are_of_one_moment(base: Base) -> None:
    """While a document changes, a query sees the old facts or the new, never both or none."""
    is_over = threading.Event()

    def change() -> None:
        for version in range(1, 60):
            base.send(
                completed((f"v{version}", "stands in", "turn"), document="turn", document_version=version),
                f"t{version}",
            )
        is_over.set()

    base.send(completed(("v0", "stands in", "turn"), document="turn"), "t0")
    changing = threading.Thread(target=change)
    changing.start()
    seen = set()
    while not is_over.is_set():
        rows = post(base, "SELECT ?x { ?x <urn:sluice:relation:stands%20in> ?y }").json()["results"]["bindings"]
        assert len(rows) == 1
        seen.add(rows[0]["x"]["value"])
    changing.join()
    assert len(seen) > 1
