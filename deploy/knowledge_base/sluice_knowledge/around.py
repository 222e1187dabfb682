"""The neighbourhood of an entity, to be drawn."""

from collections.abc import Iterable

from pyoxigraph import NamedNode

from sluice_knowledge.cards import Cards, Edge, entity_node
from sluice_knowledge.evidence import Json
from sluice_knowledge.graph import Graph
from sluice_knowledge.terms import tail

MAX_FACTS = 200
"""Of one entity, in each direction."""


def around(graph: Graph, entity_id: str, *, depth: int, limit: int) -> Json:
    """Nodes and edges at most `depth` edges away; `cut` when there are more than `limit` nodes. Raises `NotFound`."""
    center, cards = entity_node(entity_id), Cards(graph.store)
    cards.spellings(center)
    seen, edges, is_cut = {center: None}, dict[NamedNode, Json](), False
    ring = [center]
    for _ in range(depth):
        reached: list[NamedNode] = []
        for entity in ring:
            found, has_more = cards.edges(entity, MAX_FACTS)
            is_cut |= has_more
            for edge in found:
                if edge.other not in seen:
                    if len(seen) == limit:
                        is_cut = True
                        continue
                    seen[edge.other] = None
                    reached.append(edge.other)
                edges.setdefault(edge.fact, _edge(cards, entity, edge))
        ring = reached
    return {"nodes": _nodes(cards, seen, center), "edges": [*edges.values()], "cut": is_cut}


def _nodes(cards: Cards, seen: Iterable[NamedNode], center: NamedNode) -> list[Json]:
    return [{**cards.of(each), "center": each == center} for each in seen]


def _edge(cards: Cards, entity: NamedNode, edge: Edge) -> Json:
    source, target = (entity, edge.other) if edge.direction == "out" else (edge.other, entity)
    return {
        "id": tail(edge.fact.value),
        "source": tail(source.value),
        "target": tail(target.value),
        "relation": edge.relation,
        "evidences": cards.evidences(edge.fact),
    }
