"""The books of the knowledge base: what stands for each document, and which webhooks were taken. In the store itself,
so that one transaction changes facts and books; in graphs and words of their own, so that nobody takes them for facts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self
from urllib.parse import quote

import orjson
import pyoxigraph as ox
from pyoxigraph import NamedNode, Quad, Store

from sluice_knowledge import names
from sluice_knowledge.names import Named
from sluice_knowledge.terms import ROLES, node, tail, value
from sluice_schemas.job import Job
from sluice_schemas.linked_data import document_iri

State = Literal["new", "known", "stale"]

BOOKS: Final = NamedNode("urn:sluice:knowledge:books")
STANDS: Final = NamedNode("urn:sluice:knowledge:stands")
ABOUT: Final = NamedNode("urn:sluice:knowledge:about")
TAKEN: Final = NamedNode("urn:sluice:knowledge:taken")
DAY: Final = NamedNode("urn:sluice:knowledge:day")
NAMES: Final = NamedNode("urn:sluice:knowledge:names")
PLAYS: Final = NamedNode("urn:sluice:knowledge:plays")
DAYS_KEPT = 30
DAY_S = 86_400


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Of two events about a document and schema the one with the greater key counts. Job ids sort by time."""

    version: int
    job: str
    fence: int

    @classmethod
    def of(cls, job: Job) -> Self:
        """The key of a job's event."""
        return cls(job.document_version, job.id, job.fence)


@dataclass(frozen=True, slots=True)
class Taken:
    """One webhook, and what became of it. The counts are of what its event says."""

    id: str
    at: str
    type: str
    document: str
    tenant: str
    schema: str
    state: State
    entities: int = 0
    relations: int = 0
    events: int = 0


def document_node(job: Job) -> NamedNode:
    """The document a job is about."""
    return NamedNode(document_iri(job.tenant, job.document_id))


def standing(store: Store, document: NamedNode) -> dict[NamedNode, Key]:
    """The graphs that stand for a document, and what each came from."""
    return {graph: _key(store, graph) for graph in _graphs(store, document)}


def entry(graph: NamedNode, document: NamedNode, key: Key, quads: Sequence[Quad]) -> list[Quad]:
    """What the books say about a graph that stands: its key, its entities, and the roles that its events have."""
    stands, named = _told([key.version, key.job, key.fence]), _told(names.of_graph(quads))
    roles = {quad.predicate for quad in quads if quad.predicate.value.startswith(ROLES)}
    return [
        Quad(graph, ABOUT, document, BOOKS),
        Quad(graph, STANDS, stands, BOOKS),
        Quad(graph, NAMES, named, BOOKS),
        *(Quad(BOOKS, PLAYS, role, BOOKS) for role in roles),
    ]


def named(store: Store, graph: NamedNode | None) -> Iterator[Named]:
    """The entities of a graph, or of each: to find them among all that is said would take long."""
    for quad in store.quads_for_pattern(graph, NAMES, None, BOOKS):
        yield orjson.loads(value(quad.object))


def roles(store: Store) -> list[NamedNode]:
    """All roles that an event ever had: by them the events of an entity are found."""
    return [node(quad.object) for quad in store.quads_for_pattern(BOOKS, PLAYS, None, BOOKS)]


def documents(store: Store) -> int:
    """How many documents have something that stands. Looks at all of them."""
    return len({quad.object for quad in store.quads_for_pattern(None, ABOUT, None, BOOKS)})


def is_known(store: Store, webhook_id: str) -> bool:
    """Whether a webhook was taken within the days that are kept."""
    return next(store.quads_for_pattern(_webhook(webhook_id), TAKEN, None, None), None) is not None


def memory(taken: Taken, now: float) -> list[Quad]:
    """Remembers a webhook, in the graph of its day: to forget a day is to drop its graph."""
    day = _day(now)
    return [Quad(_webhook(taken.id), TAKEN, _told(asdict(taken)), day), Quad(BOOKS, DAY, day, BOOKS)]


def forgettable(store: Store, now: float) -> list[NamedNode]:
    """The days that are over since `DAYS_KEPT` days."""
    oldest = int(now // DAY_S) - DAYS_KEPT
    return [day for day in _days(store) if int(tail(day.value)) < oldest]


def latest(store: Store, count: int) -> list[Taken]:
    """The webhooks that were taken last, the newest last."""
    found: list[dict[str, Any]] = []
    for day in sorted(_days(store), key=lambda each: int(tail(each.value)), reverse=True):
        found += [orjson.loads(value(quad.object)) for quad in store.quads_for_pattern(None, TAKEN, None, day)]
        if len(found) >= count:
            break
    return [Taken(**each) for each in sorted(found, key=lambda each: str(each["at"]))[-count:]]


def moment(now: float) -> str:
    """ISO 8601 in UTC; sorts by time."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")


def _told(fields: object) -> ox.Literal:
    return ox.Literal(orjson.dumps(fields).decode())


def _graphs(store: Store, document: NamedNode) -> Iterator[NamedNode]:
    for quad in store.quads_for_pattern(None, ABOUT, document, BOOKS):
        yield node(quad.subject)


def _key(store: Store, graph: NamedNode) -> Key:
    (quad,) = store.quads_for_pattern(graph, STANDS, None, BOOKS)
    return Key(*orjson.loads(value(quad.object)))


def _days(store: Store) -> list[NamedNode]:
    return [node(quad.object) for quad in store.quads_for_pattern(BOOKS, DAY, None, BOOKS)]


def _day(now: float) -> NamedNode:
    return NamedNode(f"urn:sluice:knowledge:day:{int(now // DAY_S)}")


def _webhook(webhook_id: str) -> NamedNode:
    return NamedNode(f"urn:sluice:webhook:{quote(webhook_id, safe='')}")
