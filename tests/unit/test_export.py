"""Results in other forms: each is read back by a program that is not ours."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kuzu
import orjson
import pyoxigraph as ox
import pytest
from click.testing import CliRunner, Result

from sluice_producer.cli import sluice
from sluice_producer.export.facts import COLUMNS
from sluice_schemas.extraction import Argument, EventMention, Extraction, Mention, Relation, Span
from sluice_schemas.linked_data import entity_iri

TABLES = (
    "CREATE NODE TABLE Entity(id STRING PRIMARY KEY, label STRING, type STRING)",
    "CREATE NODE TABLE Event(id STRING PRIMARY KEY, type STRING, trigger STRING, document STRING)",
    "CREATE REL TABLE FACT(FROM Entity TO Entity, type STRING, document STRING, confidence DOUBLE)",
    "CREATE REL TABLE ARGUMENT(FROM Event TO Entity, role STRING)",
)
HOSTILE = "') DETACH DELETE (n) //\"\\'\u202e<b>"


def mention(text: str, start: int | None, type: str | None = None) -> Mention:
    if start is None:
        return Mention(text=text, type=type, confidence=0.5)
    span = Span(start=start, end=start + len(text))
    return Mention(text=text, type=type, span=span, status="exact", confidence=0.5)


def extraction(document: str = "d", **said: Any) -> Extraction:
    about = {"job_id": f"j-{document}", "document_id": document, "schema_ref": "n/x@1", "task": "RE", "language": "en"}
    return Extraction.model_validate({**about, "model": "m", "document_version": 2, **said})


ADA, ROME, HANS = mention("Ada", 0, "person"), mention("Rome", 13), mention("=1+1", None)
SAID = extraction(
    entities=(ADA, HANS),
    relations=(Relation(type="lives in", head=ADA, tail=ROME),),
    events=(EventMention(type="move", trigger=mention("moved", 20), arguments=(Argument(role="to", value=ROME),)),),
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"\n".join([SAID.encode(), b"{", extraction("e", entities=(ADA,)).encode()]))
    return path


def export(results: Path, name: str) -> Result:
    return CliRunner().invoke(sluice, ["export", str(results), "--format", name], catch_exceptions=False)


def test_a_line_for_each_value(results: Path) -> None:
    done = export(results, "jsonl")
    rows = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert (done.exit_code, "line 2" in done.stderr) == (1, True), "what cannot be read is named, the rest is there"
    assert [(row["fact"], row["kind"], row["role"], row["text"]) for row in rows] == [
        (0, "entity", "mention", "Ada"),
        (1, "entity", "mention", "=1+1"),
        (2, "relation", "head", "Ada"),
        (2, "relation", "tail", "Rome"),
        (3, "event", "trigger", "moved"),
        (3, "event", "to", "Rome"),
        (0, "entity", "mention", "Ada"),
    ]
    assert {tuple(row) for row in rows} == {COLUMNS}
    assert (rows[0]["start"], rows[0]["end"], rows[1]["start"], rows[1]["status"]) == (0, 3, None, "absent")


def test_csv_is_read_by_a_reader_and_runs_nothing(results: Path) -> None:
    rows = [*csv.DictReader(io.StringIO(export(results, "csv").stdout, newline=""))]
    assert len(rows) == 7
    assert (rows[0]["text"], rows[0]["document_version"]) == ("Ada", "2")
    assert rows[1]["text"] == "'=1+1", "a spreadsheet shows it and does not compute it"


def test_json_ld_and_n_quads_hold_the_same_graph(results: Path) -> None:
    whole, parts = ox.Store(), ox.Store()
    whole.load(export(results, "jsonld").stdout_bytes, format=ox.RdfFormat.JSON_LD)
    parts.load(export(results, "nquads").stdout_bytes, format=ox.RdfFormat.N_QUADS)
    assert {str(each.triple) for each in parts} == {str(each.triple) for each in whole}
    names: list[Any] = [*parts.named_graphs()]
    assert {each.value for each in names} == {f"urn:sluice:document:default:{each}" for each in "de"}


def run(lines: bytes) -> Iterator[list[Any]]:
    """The statements in a graph database that speaks openCypher; every fact in it."""
    graph = kuzu.Connection(kuzu.Database(":memory:"))
    for each in TABLES:
        graph.execute(each)
    for _ in range(2):
        for line in map(orjson.loads, lines.splitlines()):
            graph.execute(line["statement"], line["parameters"])
    found: Any = graph.execute("MATCH (h:Entity)-[f:FACT]->(t:Entity) RETURN h.label, f.type, t.label, f.document")
    while found.has_next():
        yield found.get_next()
    found = graph.execute("MATCH (v:Event)-[a:ARGUMENT]->(e:Entity) RETURN v.trigger, a.role, e.label, v.document")
    while found.has_next():
        yield found.get_next()


def test_statements_run_and_running_them_twice_changes_nothing(results: Path) -> None:
    found = [*run(export(results, "cypher").stdout_bytes)]
    assert found == [["Ada", "lives in", "Rome", "d"], ["moved", "to", "Rome", "d"]]


def test_no_word_of_a_document_stands_in_a_statement(tmp_path: Path) -> None:
    said = mention(HOSTILE, None, HOSTILE)
    argument = Argument(role=HOSTILE, value=said)
    path = tmp_path / "hostile.jsonl"
    path.write_bytes(
        extraction(
            HOSTILE,
            entities=(said,),
            relations=(Relation(type=HOSTILE, head=said, tail=said),),
            events=(EventMention(type=HOSTILE, trigger=said, arguments=(argument,)),),
        ).encode()
    )
    lines = export(path, "cypher").stdout_bytes
    assert all("DETACH" not in orjson.loads(line)["statement"] for line in lines.splitlines())
    assert [*run(lines)] == [[HOSTILE] * 4] * 2
    quads = [*ox.parse(export(path, "nquads").stdout_bytes, format=ox.RdfFormat.N_QUADS)]
    assert {each.object.value for each in quads if each.predicate.value.endswith("#label")} >= {HOSTILE}


def test_a_file_is_replaced_when_it_is_whole(results: Path, tmp_path: Path) -> None:
    target = tmp_path / "facts.csv"
    target.write_text("old")
    CliRunner().invoke(sluice, ["export", str(results), "--format", "csv", "--out", str(target)])
    assert target.read_text().startswith("document_id,")
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".part"] == []


def test_entities_are_named_alike_everywhere(results: Path) -> None:
    lines = export(results, "cypher").stdout.splitlines()
    ids = {row["id"] for line in lines for row in orjson.loads(line)["parameters"]["rows"] if "label" in row}
    assert entity_iri("Ada") in ids
