"""What is known about an entity, with the evidence for each part; bounded, however much is known."""

from itertools import groupby, islice
from typing import Any

from pyoxigraph import NamedNode, Quad

from sluice_knowledge import books
from sluice_knowledge.cards import MAX_LOOKED_AT, Cards, Edge, entity_node
from sluice_knowledge.evidence import Json, Witness, properties
from sluice_knowledge.graph import Graph
from sluice_knowledge.terms import CLASSES, EVENT, LABEL, ROLES, TYPE, graph_of, node, said, tail, value

MAX_FACTS = 100
"""In each direction, and of events."""
MAX_PROOFS = 10
MAX_MENTIONS = 50


class Facts:
    """Views for people, as JSON."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def search(self, text: str, limit: int) -> list[Json]:
        """Entities by name, with how many pieces of evidence each has."""
        cards = Cards(self._graph.store)
        found = self._graph.names.find(text, limit)
        return [{**cards.of(entity_node(each)), "evidences": evidences} for each, evidences in found]

    def entity(self, entity_id: str) -> Json:
        """Everything about one entity. `cut` says that there is more than is shown. Raises `NotFound`."""
        return _View(self._graph, entity_id).whole()

    def counts(self) -> dict[str, int]:
        """How much there is."""
        tally = self._graph.tally
        return {
            "documents": tally.documents,
            "entities": len(self._graph.names),
            "facts": tally.facts,
            "events": tally.events,
        }


class _View:
    def __init__(self, graph: Graph, entity_id: str) -> None:
        self._store = graph.store
        self._entity = entity_node(entity_id)
        self._cards, self._witness = Cards(graph.store), Witness(graph.store)
        self._cut = False

    def whole(self) -> Json:
        labels = self._cards.spellings(self._entity)
        edges, is_cut = self._cards.edges(self._entity, MAX_FACTS)
        self._cut |= is_cut
        told = {
            **self._cards.of(self._entity),
            "labels": labels,
            "facts": _by_evidence([self._fact(each) for each in edges]),
            "events": _by_evidence([self._event(quad) for quad in self._events()]),
            "mentions": self._proofs(self._entity, MAX_MENTIONS),
        }
        return {**told, "cut": self._cut}

    def _fact(self, edge: Edge) -> Json:
        return {
            "id": tail(edge.fact.value),
            "relation": edge.relation,
            "direction": edge.direction,
            "other": self._cards.of(edge.other),
            "evidence": self._proofs(edge.fact, MAX_PROOFS),
        }

    def _events(self) -> list[Quad]:
        """One quad of each event in which the entity plays a role."""
        found: dict[NamedNode, Quad] = {}
        for role in books.roles(self._store):
            quads = islice(self._store.quads_for_pattern(None, role, self._entity, None), MAX_LOOKED_AT)
            for event, same in groupby(quads, lambda quad: quad.subject):
                if len(found) == MAX_FACTS:
                    self._cut = True
                    return [*found.values()]
                found.setdefault(node(event), next(same))
        return [*found.values()]

    def _event(self, found: Quad) -> Json:
        event = node(found.subject)
        held = properties(self._store, event, graph_of(found))
        classes = [said(value(each), CLASSES) for each in held.get(TYPE, []) if each != EVENT]
        arguments: list[dict[str, Any]] = [
            {"role": said(role.value, ROLES), "entity": self._cards.of(node(each))}
            for role, entities in held.items()
            if role.value.startswith(ROLES)
            for each in entities
        ]
        return {
            "id": tail(event.value),
            "type": classes[0] if classes else "",
            "trigger": value(held[LABEL][0]) if LABEL in held else None,
            "arguments": sorted(arguments, key=lambda each: (each["role"], each["entity"]["label"])),
            "evidence": self._proofs(event, MAX_PROOFS),
        }

    def _proofs(self, fact: NamedNode, limit: int) -> list[Json]:
        told, is_cut = self._witness.of(fact, limit)
        self._cut |= is_cut
        return told


def _by_evidence(told: list[Json]) -> list[Json]:
    """What most documents say first; without any its graph has just gone."""
    return sorted((each for each in told if each["evidence"]), key=lambda each: -len(each["evidence"]))
