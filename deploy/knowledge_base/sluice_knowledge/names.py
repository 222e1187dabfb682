"""Entities by name, in memory: any part of a name finds it, in any width and case, two Chinese characters too."""

import heapq
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyoxigraph import Quad

from sluice_knowledge.terms import ENTITIES, ENTITY, LABEL, MENTIONED, TYPE, tail, value
from sluice_schemas.linked_data import folded

Named = Mapping[str, tuple[str, int]]
"""The entities of one graph: by id the name as it is compared, and how many pieces of evidence the graph has."""


@dataclass(slots=True)
class Name:
    """An entity's name as it is compared, in how many graphs the entity is, and how many pieces of evidence it has."""

    folded: str
    graphs: int = 0
    evidences: int = 0


class Names:
    """Entities by id. It is a sum over graphs: a graph that comes is added, one that goes is taken away."""

    def __init__(self, graphs: Iterable[Named] = ()) -> None:
        self._held: dict[str, Name] = {}
        self._lock = threading.Lock()
        for each in graphs:
            self.add(each)

    def __len__(self) -> int:
        return len(self._held)

    def add(self, graph: Named) -> None:
        """The entities of a graph that came."""
        with self._lock:
            for entity, (text, evidences) in graph.items():
                held = self._held.setdefault(entity, Name(text))
                held.graphs += 1
                held.evidences += evidences

    def remove(self, graph: Named) -> None:
        """The entities of a graph that goes."""
        with self._lock:
            for entity, (_, evidences) in graph.items():
                held = self._held[entity]
                held.graphs -= 1
                held.evidences -= evidences
                if not held.graphs:
                    del self._held[entity]

    def find(self, text: str, limit: int) -> list[tuple[str, int]]:
        """Ids and their evidence: the very name first, then names that begin so, then those with it inside.

        Among those of a kind, the one with the most evidence first. An empty text finds the entities with most of it.
        """
        wanted = folded(text)
        with self._lock:
            found = [
                (_distance(wanted, name.folded), -name.evidences, name.folded, entity)
                for entity, name in self._held.items()
                if wanted in name.folded
            ]
        return [(entity, -evidences) for _, evidences, _, entity in heapq.nsmallest(limit, found)]


def _distance(wanted: str, name: str) -> int:
    if not name.startswith(wanted) or not wanted:
        return 2
    return 0 if name == wanted else 1


def of_graph(quads: Iterable[Quad]) -> Named:
    """The entities of one graph."""
    found, texts, proofs = set[str](), dict[str, str](), set[tuple[str, str]]()
    for quad in quads:
        if quad.predicate == TYPE and quad.object == ENTITY:
            found.add(tail(value(quad.subject)))
        elif quad.predicate == LABEL and (subject := value(quad.subject)).startswith(ENTITIES):
            texts[tail(subject)] = folded(value(quad.object))
        elif quad.predicate == MENTIONED:
            proofs.add((_proof(quad), tail(value(quad.object))))
    evidences = Counter(entity for _, entity in proofs)
    # The trigger of an event is mentioned too, and is no entity.
    return {entity: (texts[entity], evidences[entity]) for entity in found}


def _proof(mention: Quad) -> str:
    return value(mention.subject).rpartition(":")[0]
