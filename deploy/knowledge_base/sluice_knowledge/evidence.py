"""Why something is believed: the documents that say it, and the places in them."""

from collections import defaultdict
from itertools import islice
from typing import Any

from pyoxigraph import NamedNode, Store

from sluice_knowledge.terms import (
    ASSOCIATED_WITH,
    DERIVED_FROM,
    ENDED_AT,
    GENERATED_BY,
    JOBS,
    LABEL,
    MENTION,
    SUPPORTS,
    Term,
    graph_of,
    node,
    of_vocabulary,
    said,
    tail,
    value,
)

Json = dict[str, Any]
Properties = dict[NamedNode, list[Term]]
ROLE, TEXT, STATUS, START, END = (of_vocabulary(each) for each in ("role", "text", "status", "start", "end"))
CONFIDENCE, PASSAGE, TENANT, VERSION = (of_vocabulary(each) for each in ("confidence", "passage", "tenant", "version"))
SCHEMA, ADAPTER = of_vocabulary("schema"), of_vocabulary("adapter")


class Witness:
    """Reads evidence for one answer; what is the same for all evidence of a graph is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sources: dict[NamedNode, Json | None] = {}
        self._passages: dict[tuple[NamedNode, NamedNode], Json | None] = {}

    def of(self, fact: NamedNode, limit: int) -> tuple[list[Json], bool]:
        """The evidence of a fact, an event or an entity, and whether there is more of it than this."""
        proofs = [*islice(self._store.quads_for_pattern(None, SUPPORTS, fact, None), limit + 1)]
        told = [self._proof(node(quad.subject), graph_of(quad)) for quad in proofs[:limit]]
        return [each for each in told if each is not None], len(proofs) > limit

    def _proof(self, proof: NamedNode, graph: NamedNode) -> Json | None:
        held = properties(self._store, proof, graph)
        source = self._source(held, graph)
        if source is None:  # its graph has gone since the proof was found
            return None
        places = sorted((node(each) for each in held.get(MENTION, [])), key=lambda each: int(tail(each.value)))
        confidence = _one(held, CONFIDENCE)
        return {
            **source,
            "confidence": None if confidence is None else float(confidence),
            "mentions": [self._mention(properties(self._store, each, graph), graph) for each in places],
        }

    def _source(self, proof: Properties, graph: NamedNode) -> Json | None:
        if graph not in self._sources:
            try:
                self._sources[graph] = self._read_source(proof, graph)
            except KeyError:
                return None
        return self._sources[graph]

    def _read_source(self, proof: Properties, graph: NamedNode) -> Json:
        (document,), (job,) = proof[DERIVED_FROM], proof[GENERATED_BY]
        about, run = (properties(self._store, node(each), graph) for each in (document, job))
        (model,) = run[ASSOCIATED_WITH]
        agent = properties(self._store, node(model), graph)
        return {
            "document": {
                "id": value(about[LABEL][0]),
                "tenant": value(about[TENANT][0]),
                "version": int(value(about[VERSION][0])),
            },
            "job": said(value(job), JOBS),
            "schema": value(run[SCHEMA][0]),
            "model": value(agent[LABEL][0]),
            "adapter": _one(agent, ADAPTER),
            "ended_at": _one(run, ENDED_AT),
        }

    def _mention(self, held: Properties, graph: NamedNode) -> Json:
        start, end, confidence = _one(held, START), _one(held, END), _one(held, CONFIDENCE)
        return {
            "role": _one(held, ROLE) or "",
            "text": _one(held, TEXT) or "",
            "start": None if start is None else int(start),
            "end": None if end is None else int(end),
            "status": _one(held, STATUS) or "absent",
            "confidence": None if confidence is None else float(confidence),
            "passage": self._passage(node(held[PASSAGE][0]), graph) if PASSAGE in held else None,
        }

    def _passage(self, passage: NamedNode, graph: NamedNode) -> Json | None:
        if (passage, graph) not in self._passages:
            held = properties(self._store, passage, graph)
            start, end, text = _one(held, START), _one(held, END), _one(held, TEXT)
            is_whole = start is not None and end is not None
            told = {"start": int(start or 0), "end": int(end or 0), "text": text} if is_whole else None
            self._passages[passage, graph] = told
        return self._passages[passage, graph]


def properties(store: Store, subject: NamedNode, graph: NamedNode) -> Properties:
    """What one graph says about a thing."""
    found: defaultdict[NamedNode, list[Term]] = defaultdict(list)
    for quad in store.quads_for_pattern(subject, None, None, graph):
        found[quad.predicate].append(quad.object)
    return dict(found)


def _one(held: Properties, name: NamedNode) -> str | None:
    return value(held[name][0]) if name in held else None
