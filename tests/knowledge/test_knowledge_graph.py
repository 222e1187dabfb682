"""The graph takes each event whole, once, and in the order of its documents' versions: against a model in dicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from knowledge.knowledge_events import Triple, completed, failed
from pyoxigraph import NamedNode

from sluice_knowledge import books, names
from sluice_knowledge.books import DAYS_KEPT, Key
from sluice_knowledge.facts import Facts
from sluice_knowledge.graph import Graph
from sluice_knowledge.names import Names
from sluice_knowledge.terms import FACT, TYPE
from sluice_schemas.errors import Conflict
from sluice_schemas.event import Event
from sluice_schemas.linked_data import entity_iri

DAY_S = 86_400
FACTS: tuple[Triple, ...] = (
    ("Ada", "knows", "Bob"),
    ("ＡＤＡ", "knows", "Bob"),
    ("Bob", "knows", "Cy"),
    ("Cy", "likes", "Cy"),
    ("爱达", "住在", "伦敦"),
)
Said = frozenset[Triple]


@dataclass
class Model:
    """What should stand, as dictionaries."""

    documents: dict[tuple[str, str], dict[str, tuple[Key, Said]]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def take(self, event: Event, webhook_id: str, said: Said) -> str:
        if webhook_id in self.known:
            return "known"
        self.known.add(webhook_id)
        if event.extraction is None:
            return "new"
        job, key = event.job, Key.of(event.job)
        standing = self.documents.get((job.tenant, job.document_id), {})
        schema = job.schema_ref.partition("@")[0]
        if any(other.version > key.version for other, _ in standing.values()):
            return "stale"
        if schema in standing and standing[schema][0] > key:
            return "stale"
        kept = {name: each for name, each in standing.items() if each[0].version == key.version}
        self.documents[job.tenant, job.document_id] = {**kept, schema: (key, said)}
        return "new"

    def saying(self) -> list[Said]:
        return [said for standing in self.documents.values() for _, said in standing.values()]


def edges(said: Mapping[Triple, None] | Said) -> set[tuple[str, str, str]]:
    """As the graph has them: one edge for all spellings."""
    return {(entity_iri(head), relation, entity_iri(tail)) for head, relation, tail in said}


@st.composite
def happenings(draw: st.DrawFn) -> list[tuple[Event, str, Said]]:
    """Events in any order, with repeated ids, jobs and versions."""
    made = []
    for _ in range(draw(st.integers(1, 14))):
        said = draw(st.frozensets(st.sampled_from(FACTS), max_size=4))
        job: dict[str, Any] = {
            "document": draw(st.sampled_from(["a", "b/%:"])),
            "tenant": draw(st.sampled_from(["t", "u"])),
            "schema_ref": draw(st.sampled_from(["s@1", "s@2", "r@1"])),
            "document_version": draw(st.integers(0, 2)),
            "fence": draw(st.integers(1, 2)),
        }
        # A job is about one document and schema, and its ids sort by time.
        job["id"] = ":".join([draw(st.sampled_from(["0190", "0191", "0192"])), *map(str, job.values())][:4])
        is_good = draw(st.integers(0, 6)) > 0
        event = completed(*sorted(said), **job) if is_good else failed(**job)
        made.append((event, draw(st.sampled_from("12345678")), said))
    return made


@settings(max_examples=60)
@given(happenings())
def test_any_order_of_events_versions_and_repetitions(events: list[tuple[Event, str, Said]]) -> None:
    model = Model()
    with TemporaryDirectory() as folder:
        graph = Graph(Path(folder))
        for event, webhook_id, said in events:
            assert graph.take(event, webhook_id).state == model.take(event, webhook_id, said)
            compare(graph, model)
        graph.close()
        again = Graph(Path(folder))
        compare(again, model)
        again.close()


def compare(graph: Graph, model: Model) -> None:
    saying = model.saying()
    facts = set[tuple[str, str, str]]().union(*map(edges, saying))
    entities = {entity for head, _, tail in facts for entity in (head, tail)}
    held = Facts(graph).counts()
    expected = {"documents": len(model.documents), "entities": len(entities), "facts": len(facts), "events": 0}
    assert held == expected
    # Each edge once for each graph that says it; and the books speak of these graphs alone.
    proven = [quad.graph_name for quad in graph.store.quads_for_pattern(None, TYPE, FACT, None)]
    assert len(proven) == sum(len(edges(said)) for said in saying)
    standing = sum(len(books.standing(graph.store, document)) for document in documents(model))
    assert standing == len(saying)
    counted = recounted(graph)
    assert sorted(counted.find("", 99)) == sorted(graph.names.find("", 99))
    assert {f"urn:sluice:entity:{each}" for each, _ in graph.names.find("", 99)} == entities


def recounted(graph: Graph) -> Names:
    """From what the graphs say, not from the books."""
    found = (graph.store.quads_for_pattern(None, None, None, each) for each in graph.store.named_graphs())
    return Names(names.of_graph(quads) for quads in found)


def documents(model: Model) -> list[NamedNode]:
    return [books.document_node(completed(document=name, tenant=tenant).job) for tenant, name in model.documents]


def evidences(graph: Graph, name: str) -> int:
    return dict(graph.names.find(name, 5)).get(entity_iri(name).rpartition(":")[2], 0)


def test_the_evidence_of_an_entity_is_counted_over_documents(tmp_path: Path) -> None:
    graph = Graph(tmp_path)
    graph.take(completed(FACTS[0], document="a"), "1")
    assert evidences(graph, "Ada") == 2  # for itself, and for the fact
    graph.take(completed(FACTS[1], document="b"), "2")
    assert evidences(graph, "ada") == 4
    graph.take(completed(document="a", document_version=1), "3")
    assert evidences(graph, "Ada") == 2
    graph.close()


def test_ids_are_forgotten_after_thirty_days_and_facts_are_not(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    graph = Graph(tmp_path, clock=lambda: now)
    event = completed(FACTS[0])
    assert graph.take(event, "1").state == "new"
    now += DAYS_KEPT * DAY_S
    assert graph.take(completed(document="b"), "2").state == "new"
    assert graph.take(event, "1").state == "known"
    now += 2 * DAY_S
    assert graph.take(completed(document="c"), "3").state == "new"
    assert not books.is_known(graph.store, "1")
    assert books.is_known(graph.store, "2")
    assert [each.id for each in books.latest(graph.store, 9)] == ["2", "3"]
    assert Facts(graph).counts()["documents"] == 3
    graph.close()


def test_one_process_a_folder(tmp_path: Path) -> None:
    graph = Graph(tmp_path)
    with pytest.raises(Conflict, match="Stop it, or choose another folder"):
        Graph(tmp_path)
    graph.close()
    Graph(tmp_path).close()
