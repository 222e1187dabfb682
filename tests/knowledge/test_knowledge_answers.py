"""What the knowledge base answers: names, facts with their evidence, neighbours, news."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from knowledge.knowledge_events import completed
from knowledge.knowledge_stage import Base, serving

from sluice_knowledge.names import Names
from sluice_schemas.linked_data import entity_iri

ADA = ("Ada Lovelace", "lives in", "London")
TEXT = "😀 In 1840 Ada Lovelace lives in London."


def identity(name: str) -> str:
    return entity_iri(name).rpartition(":")[2]


def labels(base: Base, text: str, **query: int) -> list[str]:
    return [each["label"] for each in base.get("/api/search", q=text, **query)["results"]]


def test_a_fact_leads_to_the_characters_that_say_it(base: Base) -> None:
    base.send(completed(ADA, text=TEXT, document_version=3, id="job-1"))
    ada = base.find("ada lovelace")
    assert {key: ada[key] for key in ("id", "label", "labels", "types", "events", "cut")} == {
        "id": identity("Ada Lovelace"),
        "label": "Ada Lovelace",
        "labels": ["Ada Lovelace"],
        "types": ["thing"],
        "events": [],
        "cut": False,
    }
    (fact,) = ada["facts"]
    london = {"id": identity("London"), "label": "London", "types": ["thing"]}
    assert (fact["relation"], fact["direction"], fact["other"]) == ("lives in", "out", london)
    (evidence,) = fact["evidence"]
    passage = {"start": 0, "end": len(TEXT), "text": TEXT}
    at = {"status": "exact", "confidence": 0.5, "passage": passage}
    assert evidence == {
        "document": {"id": "d", "tenant": "default", "version": 3},
        "job": "job-1",
        "schema": "n/x@1",
        "model": "m",
        "adapter": None,
        "ended_at": "1970-01-01T00:00:02.5Z",
        "confidence": 0.5,
        "mentions": [
            {"role": "head", "text": "Ada Lovelace", "start": 10, "end": 22, **at},
            {"role": "tail", "text": "London", "start": 32, "end": 38, **at},
        ],
    }
    assert all(TEXT[each["start"] : each["end"]] == each["text"] for each in evidence["mentions"])
    (mention,) = ada["mentions"]
    assert [each["text"] for each in mention["mentions"]] == ["Ada Lovelace"]
    assert [(each["direction"], each["other"]["label"]) for each in base.find("London")["facts"]] == [
        ("in", "Ada Lovelace")
    ]


def test_two_documents_that_say_the_same_are_two_reasons_for_one_fact(base: Base) -> None:
    base.send(completed(ADA, document="a"), "1")
    base.send(completed(("ADA LOVELACE", "lives in", "London"), document="b"), "2")
    ada = base.find("ada lovelace")
    (fact,) = ada["facts"]
    assert sorted(each["document"]["id"] for each in fact["evidence"]) == ["a", "b"]
    assert sorted(ada["labels"]) == ["ADA LOVELACE", "Ada Lovelace"]
    # One of them takes it back: the fact stands on the other.
    base.send(completed(("Ada Lovelace", "wrote", "notes"), document="a", document_version=1), "3")
    ada = base.find("ada lovelace")
    assert {each["relation"]: [proof["document"]["id"] for proof in each["evidence"]] for each in ada["facts"]} == {
        "lives in": ["b"],
        "wrote": ["a"],
    }
    base.send(completed(document="b", document_version=1), "4")
    assert [each["relation"] for each in base.find("ada lovelace")["facts"]] == ["wrote"]
    assert labels(base, "london") == []
    gone = base.client.get(f"/api/entities/{identity('London')}")
    assert (gone.status_code, "no entity" in gone.json()["detail"]) == (404, True)
    assert base.get("/health") == {"status": "ok", "documents": 2, "entities": 2, "facts": 1, "events": 0}


def test_a_new_version_withdraws_what_other_schemas_found_in_the_old_one(base: Base) -> None:
    base.send(completed(ADA, schema_ref="a@1"), "1")
    base.send(completed(("Ada Lovelace", "wrote", "notes"), schema_ref="b@1"), "2")
    assert len(base.find("ada lovelace")["facts"]) == 2
    # Another version of a schema takes the place of what the first found.
    base.send(completed(("Ada Lovelace", "knew", "Babbage"), schema_ref="b@2", id="job-z"), "3")
    assert {each["relation"] for each in base.find("ada lovelace")["facts"]} == {"lives in", "knew"}
    base.send(completed(("Ada", "is", "gone"), schema_ref="a@1", document_version=1), "4")
    assert labels(base, "ada lovelace") == []
    # What comes late changes nothing, whatever its schema and its job.
    for number, schema in enumerate(("a@1", "b@1", "c@1")):
        assert base.send(completed(ADA, schema_ref=schema, id="zzz", fence=9), f"late {number}").status_code == 204
    assert {each["state"] for each in base.get("/api/events/recent", limit=3)["events"]} == {"stale"}
    assert base.get("/health")["facts"] == 1


def test_events_have_roles(base: Base) -> None:
    base.send(completed(ADA, events=[("birth", "born/who", "Ada Lovelace")]))
    (event,) = base.find("ada lovelace")["events"]
    ada = {"id": identity("Ada Lovelace"), "label": "Ada Lovelace", "types": ["thing"]}
    told = {key: event[key] for key in ("type", "trigger", "arguments")}
    assert told == {"type": "birth", "trigger": None, "arguments": [{"role": "born/who", "entity": ada}]}
    assert [each["role"] for each in event["evidence"][0]["mentions"]] == ["born/who"]
    assert base.get("/health")["events"] == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("伦敦", ["伦敦", "伦敦塔", "在伦敦"], id="two Chinese characters, the very name first"),
        pytest.param("ＬＯＮ", ["London", "Londonderry"], id="wide letters, more evidence first"),
        pytest.param("lond", ["London", "Londonderry"], id="the beginning"),
        pytest.param("derry", ["Londonderry"], id="the end"),
        pytest.param(" london ", ["London", "Londonderry"], id="spaces around it"),
        pytest.param("paris", [], id="nothing"),
        pytest.param("*", [], id="no wildcard"),
    ],
)
def test_names_are_found_by_any_part(searched: Base, text: str, found: list[str]) -> None:
    assert labels(searched, text) == found


def test_without_a_text_what_is_said_most_comes_first(searched: Base) -> None:
    assert labels(searched, "", limit=2)[0] == "London"
    assert len(labels(searched, "", limit=2)) == 2


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    with serving(tmp_path_factory.mktemp("searched"), hosts=["kb.example"]) as base:
        base.send(completed(("London", "is not", "Londonderry"), ("London", "is", "伦敦")), "1")
        base.send(completed(("伦敦塔", "in", "London"), ("在伦敦", "in", "x"), document="e"), "2")
        yield base


def test_names_are_found_in_the_order_of_nearness() -> None:
    names = Names([{str(i): (text, i) for i, text in enumerate(["xab", "ab", "abx", "aby", "b"])}])
    assert [entity for entity, _ in names.find("AB", 9)] == ["1", "3", "2", "0"]


def test_neighbours_are_drawn_up_to_a_bound(base: Base) -> None:
    chain = [("a", "r", "b"), ("b", "r", "c"), ("c", "r", "d"), ("a", "r", "a")]
    base.send(completed(*chain, *(("b", "s", f"n{number}") for number in range(20))))

    def drawn(**query: int) -> Any:
        return base.get(f"/api/entities/{identity('a')}/graph", **query)

    near = drawn()
    assert {each["label"]: each["center"] for each in near["nodes"]} == {"a": True, "b": False}
    assert sorted((each["source"], each["target"], each["relation"], each["evidences"]) for each in near["edges"]) == (
        sorted((identity("a"), identity(each), "r", 1) for each in "ab")
    )
    far = drawn(depth=2)
    assert (len(far["nodes"]), len(far["edges"]), far["cut"]) == (23, 23, False)
    few = drawn(depth=2, limit=5)
    named = {each["id"] for each in few["nodes"]}
    assert (len(named), few["cut"]) == (5, True)
    assert {each[end] for each in few["edges"] for end in ("source", "target")} <= named


def test_what_is_known_without_end_is_cut(base: Base) -> None:
    for number in range(12):
        base.send(completed(ADA, document=str(number)), str(number))
    ada = base.find("ada lovelace")
    assert (len(ada["facts"][0]["evidence"]), ada["cut"]) == (10, True)


HOSTILE = [
    "<script>alert(1)</script>",
    '" . } } ; DROP ALL ; INSERT DATA { <urn:a> <urn:b> "',
    "'); DROP GRAPH <urn:x> #",
    "\\u0022 } ; DROP ALL #",
    "a\u202eb\u2066c\u2069",
    "\x00\x01\x7f\x85\u2028 line\r\nbreak\ttab",
    "} UNION { ?s ?p ?o",
    "@id",
    "urn:sluice:entity:00000000000000000000000000000000",
    "𝔘𝔫𝔦\U0010ffff",
    "data: x\n\nevent: forged\ndata: {}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_come_back_as_they_were_and_do_nothing(hostile: Base, text: str) -> None:
    before = hostile.get("/health")
    sent = completed((text, text, text + " other"), text=text, document=text[:100], events=[(text, text, text)])
    assert hostile.send(sent, text.encode().hex()).status_code == 204
    found = hostile.get(f"/api/entities/{identity(text)}")
    assert (found["label"], found["facts"][0]["relation"]) == (text, text)
    assert [each["role"] for each in found["events"][0]["arguments"]] == [text]
    evidence = found["facts"][0]["evidence"][0]
    assert evidence["document"]["id"] == text[:100]
    assert evidence["mentions"][0]["passage"]["text"] == text
    assert identity(text) in [each["id"] for each in hostile.get("/api/search", q=text)["results"]]
    assert hostile.get("/api/events/recent", limit=1)["events"][0]["document"] == text[:100]
    # The facts of all others still stand.
    assert hostile.get("/health")["documents"] == before["documents"] + 1


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    with serving(tmp_path_factory.mktemp("hostile")) as base:
        yield base


def test_all_is_there_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as base:
        base.send(completed(ADA, events=[("birth", "who", "London")]), "1")
        base.send(completed(ADA, document="e"), "2")
        before = [base.get("/health"), base.get("/api/search", q=""), base.find("london")]
    with serving(tmp_path) as base:
        assert [base.get("/health"), base.get("/api/search", q=""), base.find("london")] == before
        assert [each["id"] for each in base.get("/api/events/recent")["events"]] == ["2", "1"]
        base.send(completed(ADA), "1")
        assert len(base.get("/api/events/recent")["events"]) == 2


def read(lines: Iterator[str]) -> tuple[int, Any]:
    """The next event of a stream."""
    number = None
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            number = int(value)
        elif name == "data":
            assert number is not None
            return number, orjson.loads(value)
    raise AssertionError("the stream has ended")


def test_news_are_streamed_and_nothing_is_lost_in_between(base: Base) -> None:
    base.send(completed(ADA, document="before"), "0")
    with base.client.stream("GET", "/api/events/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        next(lines)
        base.send(completed(ADA, document="1"), "1")
        base.send(completed(ADA, document="1"), "1")
        base.send(completed(ADA, document="2"), "2")
        (first, one), (_, two) = read(lines), read(lines)
    assert [(each["id"], each["document"], each["state"], each["relations"]) for each in (one, two)] == [
        ("1", "1", "new", 1),
        ("2", "2", "new", 1),
    ]
    base.send(completed(ADA, document="3"), "3")
    with base.client.stream("GET", "/api/events/stream", headers={"last-event-id": str(first)}) as stream:
        lines = stream.iter_lines()
        assert [read(lines)[1]["id"] for _ in range(2)] == ["2", "3"]


def test_a_stream_ends_when_the_server_stops(tmp_path: Path) -> None:
    ended = threading.Event()
    is_open = threading.Event()

    def listen(url: str) -> None:
        with httpx.stream("GET", f"{url}/api/events/stream", timeout=20) as stream:
            for _ in stream.iter_raw():
                is_open.set()
        ended.set()

    with serving(tmp_path) as base:
        listener = threading.Thread(target=listen, args=(base.url,))
        listener.start()
        assert is_open.wait(5)
    listener.join(5)
    assert ended.is_set()


@pytest.mark.parametrize(
    "path", ["/api/entities/x", "/api/entities/" + "0" * 32, "/api/entities/" + "A" * 32, "/api/entities/x/graph"]
)
def test_what_is_not_there_is_said_in_a_sentence(searched: Base, path: str) -> None:
    answer = searched.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_page_that_loads_scripts_from_elsewhere(searched: Base, path: str) -> None:
    assert searched.client.get(path).status_code == 404


def test_every_answer_tells_browsers_to_be_careful(searched: Base) -> None:
    for path in ("/", "/page/page.js", "/health", "/nowhere", "/api/search?limit=x", "/sparql?query=x"):
        held = searched.client.get(path, headers={"origin": "http://elsewhere.example"}).headers
        assert "default-src 'self'" in held["content-security-policy"], path
        assert held["x-content-type-options"] == "nosniff"
        assert held["referrer-policy"] == "no-referrer"
        assert held["cache-control"] in ("no-cache", "no-store")
        assert not [name for name in held if name.startswith("access-control")]


def test_the_page_is_served_and_nothing_beside_it(searched: Base) -> None:
    assert searched.client.get("/").headers["content-type"].startswith("text/html")
    assert searched.client.get("/page/index.html").text == searched.client.get("/").text
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd"):
        assert searched.client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("evil.example", 400),
        ("localhost.evil.example:8090", 400),
        ("", 400),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8090", 200),
        ("kb.example", 200),
        ("kb.example:443", 200),
    ],
)
def test_only_names_of_this_server_are_answered(searched: Base, host: str, code: int) -> None:
    assert searched.client.get("/health", headers={"host": host}).status_code == code
