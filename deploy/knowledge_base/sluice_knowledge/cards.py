"""Entities and facts as they are named to people: the label, the classes, the ends of an edge."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Literal

from pyoxigraph import NamedNode, Quad, Store

from sluice_knowledge.evidence import Json, properties
from sluice_knowledge.terms import (
    CLASSES,
    ENTITIES,
    ENTITY,
    LABEL,
    OBJECT,
    PREDICATE,
    RELATIONS,
    SUBJECT,
    SUPPORTS,
    TYPE,
    graph_of,
    node,
    said,
    tail,
    value,
)
from sluice_schemas.errors import NotFound

MAX_NAMES = 1000
"""Names and classes come from so many graphs at most: those of an entity in every document would take for ever."""
MAX_LOOKED_AT = 20_000
"""As many quads of one entity are read to find its facts."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A fact, as one of its ends sees it."""

    fact: NamedNode
    relation: str
    direction: Literal["out", "in"]
    other: NamedNode


class Cards:
    """Reads each entity once for one answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cards: dict[NamedNode, Json] = {}

    def of(self, entity: NamedNode) -> Json:
        """Its id, its usual label, and its classes."""
        if entity not in self._cards:
            spelt, classes = self.labels(entity), self.classes(entity)
            self._cards[entity] = {"id": tail(entity.value), "label": spelt[0] if spelt else "", "types": classes}
        return self._cards[entity]

    def labels(self, entity: NamedNode) -> list[str]:
        """All spellings, the most usual first."""
        return _by_use(value(quad.object) for quad in self._names(entity, LABEL))

    def spellings(self, entity: NamedNode) -> list[str]:
        """As `labels`, of an entity that must be there. Raises `NotFound`."""
        if found := self.labels(entity):
            return found
        raise NotFound("There is no entity with this id. Its last document may have been withdrawn; search again.")

    def classes(self, entity: NamedNode) -> list[str]:
        """The users' own, the most usual first."""
        found = (quad.object for quad in self._names(entity, TYPE) if quad.object != ENTITY)
        return _by_use(said(value(each), CLASSES) for each in found)

    def edges(self, entity: NamedNode, limit: int) -> tuple[list[Edge], bool]:
        """At most so many facts in each direction, and whether there are more."""
        out, in_ = (self._facts(entity, end, limit) for end in (SUBJECT, OBJECT))
        found = [self._edge(quad, entity, "out") for quad in out[:limit]]
        found += [self._edge(quad, entity, "in") for quad in in_[:limit]]
        # A fact about itself has been seen from its subject already.
        kept = [each for each in found if each and not (each.direction == "in" and each.other == entity)]
        return kept, max(len(out), len(in_)) > limit

    def evidences(self, fact: NamedNode) -> int:
        """How many pieces of evidence a fact has; counted up to a bound."""
        return sum(1 for _ in islice(self._store.quads_for_pattern(None, SUPPORTS, fact, None), MAX_NAMES))

    def _names(self, entity: NamedNode, name: NamedNode) -> Iterator[Quad]:
        return islice(self._store.quads_for_pattern(entity, name, None, None), MAX_NAMES)

    def _facts(self, entity: NamedNode, end: NamedNode, limit: int) -> list[Quad]:
        # The store gives what different graphs say about one fact one after the other.
        quads = islice(self._store.quads_for_pattern(None, end, entity, None), MAX_LOOKED_AT)
        firsts = (next(same) for _, same in groupby(quads, lambda quad: quad.subject))
        return [*islice(firsts, limit + 1)]

    def _edge(self, found: Quad, entity: NamedNode, direction: Literal["out", "in"]) -> Edge | None:
        held = properties(self._store, node(found.subject), graph_of(found))
        far = OBJECT if direction == "out" else SUBJECT
        if far not in held or PREDICATE not in held:  # its graph has gone since it was found
            return None
        relation = said(value(held[PREDICATE][0]), RELATIONS)
        return Edge(node(found.subject), relation, direction, node(held[far][0]))


def entity_node(entity_id: str) -> NamedNode:
    """The entity of an id, as the interface gives them."""
    return NamedNode(f"{ENTITIES}{entity_id}")


def _by_use(found: Iterator[str]) -> list[str]:
    return [name for name, _ in sorted(Counter(found).items(), key=lambda each: (-each[1], each[0]))]
