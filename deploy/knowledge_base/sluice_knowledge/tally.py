"""How many facts and events there are: each counts once, however many documents say it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from pyoxigraph import NamedNode, Quad, QuerySolutions, Store

from sluice_knowledge.terms import EVENT, FACT, TYPE, Term, node, value

COUNTED = (FACT, EVENT)


@dataclass(slots=True)
class Tally:
    """Kept along with the changes, as to count takes a look at everything."""

    documents: int = 0
    facts: int = 0
    events: int = 0


def counted(quads: Iterable[Quad]) -> set[tuple[NamedNode, NamedNode]]:
    """The facts and events of graphs, each with its class."""
    return {
        (node(quad.subject), quad.object)
        for quad in quads
        if quad.predicate == TYPE and isinstance(quad.object, NamedNode) and quad.object in COUNTED
    }


def held(store: Store, graph: NamedNode) -> set[tuple[NamedNode, NamedNode]]:
    """The facts and events of a graph that stands."""
    return {each for kind in COUNTED for each in counted(store.quads_for_pattern(None, TYPE, kind, graph))}


def stands(store: Store, subject: NamedNode, kind: NamedNode) -> bool:
    """Whether any graph says it."""
    return next(store.quads_for_pattern(subject, TYPE, kind, None), None) is not None


def count(store: Store, kind: NamedNode) -> int:
    """All that stand of a class. As a query, which compares names without reading them: twenty times as fast."""
    query = f"SELECT (COUNT(DISTINCT ?each) AS ?count) {{ ?each a {kind} }}"
    (row,) = cast("QuerySolutions", store.query(query, use_default_graph_as_union=True))
    return int(value(cast("Term", row["count"])))
