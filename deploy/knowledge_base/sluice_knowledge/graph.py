"""The graph on disk: it takes events, each in one transaction, and never holds half of one."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import NamedNode, Quad, Store

from sluice_knowledge import books, names, tally
from sluice_knowledge.books import BOOKS, Key, Taken
from sluice_knowledge.terms import EVENT, FACT, graph_name, graph_of
from sluice_schemas.errors import Conflict
from sluice_schemas.event import Event, Notice
from sluice_schemas.linked_data import linked_data
from sluice_schemas.wire import json_bytes


@dataclass(frozen=True, slots=True)
class Change:
    """What an event does: these graphs go, and this one comes."""

    going: Sequence[NamedNode] = ()
    document: NamedNode | None = None
    coming: NamedNode | None = None
    key: Key | None = None
    quads: Sequence[Quad] = ()
    is_first: bool = False
    """Nothing of that document stands yet."""


class Graph:
    """What documents say, one named graph for each document and schema. Safe for threads; one process a folder.

    Raises `Conflict` when another process has the folder.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder / "store"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = _opened(self.folder)
        self.names = names.Names(books.named(self.store, None))
        self.tally = tally.Tally(
            books.documents(self.store), tally.count(self.store, FACT), tally.count(self.store, EVENT)
        )
        self._clock = clock
        self._lock = threading.Lock()

    def take(self, event: Event | Notice, webhook_id: str) -> Taken:
        """Takes an event once, and remembers its id. On disk when it returns.

        An event that is older than what stands for its document is remembered and changes no fact.
        """
        with self._lock:
            now = self._clock()
            taken = _described(event, webhook_id, books.moment(now))
            if books.is_known(self.store, webhook_id):
                taken = replace(taken, state="known")
            else:
                change = self._change(event)
                if change is None:
                    taken = replace(taken, state="stale")
                self._make(change or Change(), books.memory(taken, now), books.forgettable(self.store, now))
            # What is known already too: when this failed the first time, the sender tries again.
            self._sync()
            return taken

    def close(self) -> None:
        """Nothing may be called after it."""
        with self._lock:
            self.store.flush()
            del self.store

    def _change(self, event: Event | Notice) -> Change | None:
        """None for an event that comes too late."""
        if isinstance(event, Notice) or event.extraction is None:
            return Change()
        job, key = event.job, Key.of(event.job)
        document, graph = books.document_node(job), graph_name(job.tenant, job.document_id, job.schema_ref)
        standing = books.standing(self.store, document)
        if any(other.version > key.version for other in standing.values()):
            return None
        if graph in standing and standing[graph] > key:
            return None
        going = [each for each, other in standing.items() if each == graph or other.version < key.version]
        return Change(going, document, graph, key, quads_of(event), is_first=not standing)

    def _make(self, change: Change, memory: list[Quad], forgotten: Sequence[NamedNode]) -> None:
        """Changes the store, and then what is kept in memory about it."""
        gone = [named for each in change.going for named in books.named(self.store, each)]
        came, went = tally.counted(change.quads), self._counted(change.going)
        new = [each for each in came - went if not tally.stands(self.store, *each)]
        told = [*change.quads, *memory]
        if change.document and change.coming and change.key:
            told += books.entry(change.coming, change.document, change.key, change.quads)
        self.store.update(_as_update(change.going, forgotten, told))
        lost = [each for each in went - came if not tally.stands(self.store, *each)]
        self.tally.facts += _of(FACT, new) - _of(FACT, lost)
        self.tally.events += _of(EVENT, new) - _of(EVENT, lost)
        self.tally.documents += change.is_first
        # Coming first: what stays is never away.
        self.names.add(names.of_graph(change.quads))
        for each in gone:
            self.names.remove(each)

    def _counted(self, graphs: Sequence[NamedNode]) -> set[tuple[NamedNode, NamedNode]]:
        return set[tuple[NamedNode, NamedNode]]().union(*(tally.held(self.store, each) for each in graphs))

    def _sync(self) -> None:
        """Waits until the log of the store is on disk: RocksDB leaves that to the operating system."""
        for log in self.folder.glob("*.log"):
            try:
                file = os.open(log, os.O_RDONLY)
            except FileNotFoundError:  # its content is in a table by now, and that was written through
                continue
            try:
                os.fsync(file)
            finally:
                os.close(file)


def quads_of(event: Event) -> list[Quad]:
    """What an event says, in the graph of its document and schema. Without an extraction it says nothing."""
    job = event.job
    if event.extraction is None:
        return []
    # Never the JSON-LD that was sent: its context could give our words another meaning.
    told = ox.parse(json_bytes(linked_data(job, event.extraction)), format=ox.RdfFormat.JSON_LD)
    graph = graph_name(job.tenant, job.document_id, job.schema_ref)
    return [*{Quad(each.subject, each.predicate, each.object, graph) for each in told}]


def _opened(folder: Path) -> Store:
    try:
        return Store(folder)
    except OSError as exc:
        if "lock" not in str(exc).lower():
            raise
        raise Conflict(
            f"Another process has the knowledge base in {folder.parent} open. Stop it, or choose another folder."
        ) from exc


def _described(event: Event | Notice, webhook_id: str, at: str) -> Taken:
    if isinstance(event, Notice):
        return Taken(webhook_id, at, event.type, "", "", "", "new")
    job, found = event.job, event.extraction
    counts = (len(found.entities), len(found.relations), len(found.events)) if found else (0, 0, 0)
    return Taken(webhook_id, at, event.type, job.document_id, job.tenant, job.schema_ref, "new", *counts)


def _as_update(going: Sequence[NamedNode], forgotten: Sequence[NamedNode], told: Sequence[Quad]) -> str:
    """One request is one transaction. Names and texts are written by pyoxigraph, which escapes them."""
    drops = [f"DROP SILENT GRAPH {each}" for each in (*going, *forgotten)]
    stale = [f"DELETE WHERE {{ GRAPH {BOOKS} {{ {each} ?p ?o }} }}" for each in going]
    stale += [f"DELETE WHERE {{ GRAPH {BOOKS} {{ ?s ?p {each} }} }}" for each in forgotten]
    graphs: dict[NamedNode, list[ox.Triple]] = {}
    for quad in told:
        graphs.setdefault(graph_of(quad), []).append(quad.triple)
    data = " ".join(f"GRAPH {graph} {{ {_as_text(triples)} }}" for graph, triples in graphs.items())
    return " ;\n".join([*drops, *stale, f"INSERT DATA {{ {data} }}"])


def _as_text(triples: Iterable[ox.Triple]) -> str:
    return (ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES) or b"").decode()


def _of(kind: NamedNode, counted: Iterable[tuple[NamedNode, NamedNode]]) -> int:
    return sum(1 for _, each in counted if each == kind)
