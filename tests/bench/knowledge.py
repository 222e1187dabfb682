"""What a large graph costs the knowledge base: `PYTHONPATH=tests python -m bench.knowledge --help`."""

import gc
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click
import psutil
import pyoxigraph as ox
from bench import queue_report
from knowledge.knowledge_events import completed
from rich.table import Table

from sluice_knowledge import books
from sluice_knowledge.facts import Facts
from sluice_knowledge.graph import Graph, quads_of
from sluice_knowledge.sparql import Sparql
from sluice_knowledge.terms import graph_name
from sluice_schemas.event import Event
from sluice_schemas.linked_data import entity_iri

FACTS_EACH = 20
"""Facts of a document, about `NAMES_EACH` of the entities there are."""
NAMES_EACH = 8
RELATIONS = ("lives in", "works for", "knows", "was born in", "founded")
CHUNK = 1_000
"""Documents that are loaded at once."""
ROUNDS = 20
TAKEN = 10
"""Events a round, of each kind, into each graph."""
SEED = 5
QUERY = "SELECT ?o { <%s> <urn:sluice:relation:knows> ?o } LIMIT 10"


def document(number: int, facts: int, *, version: int = 0, seed: int = SEED) -> Event:
    """A document that says `FACTS_EACH` different facts, about entities that others speak of too."""
    chance = random.Random(f"{seed} {number} {version}")
    names = [f"Person {chance.randrange(max(NAMES_EACH, facts // 5))}" for _ in range(NAMES_EACH)]
    said = dict.fromkeys(
        (chance.choice(names), chance.choice(RELATIONS), f"{chance.choice(names)}") for _ in range(FACTS_EACH * 4)
    )
    job: dict[str, Any] = {"document_version": version, "id": f"{version:04}-{seed}-{number:08}"}
    return completed(*[*said][:FACTS_EACH], document=f"{seed} {number}", **job)


def lines(numbers: range, facts: int) -> bytes:
    """Documents as the store keeps them."""
    quads: list[ox.Quad] = []
    for number in numbers:
        event = document(number, facts)
        job, told = event.job, quads_of(event)
        graph = graph_name(job.tenant, job.document_id, job.schema_ref)
        quads += [*told, *books.entry(graph, books.document_node(job), books.Key.of(job), told)]
    return ox.serialize(quads, format=ox.RdfFormat.N_QUADS) or b""


def fill(folder: Path, facts: int) -> None:
    """Loads so many facts at once, without taking them one by one."""
    documents = facts // FACTS_EACH
    parts = [range(start, min(start + CHUNK, documents)) for start in range(0, documents, CHUNK)]
    (folder / "store").mkdir(parents=True)
    store = ox.Store(folder / "store")
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        waiting = [pool.submit(lines, part, facts) for part in parts[:4]]
        for number in range(len(parts)):
            store.bulk_load(waiting.pop(0).result(), format=ox.RdfFormat.N_QUADS)
            if number + 4 < len(parts):
                waiting.append(pool.submit(lines, parts[number + 4], facts))
    store.optimize()
    store.flush()


class Subject:
    """A graph under measurement, and the documents that stand in it."""

    def __init__(self, folder: Path, facts: int, pool: int) -> None:
        gc.collect()
        before, started = _memory(), time.perf_counter()
        self.graph = Graph(folder)
        self.start_s, self.memory_mb = time.perf_counter() - started, (_memory() - before) / 1e6
        self._pool, self._facts, self._taken = pool, facts, 0
        self.took: dict[str, list[float]] = {}

    def take(self, kind: str, events: list[Event]) -> None:
        """Each event's seconds."""
        for event in events:
            self._taken += 1
            self.time(kind, partial(self.graph.take, event, f"w{self._taken}"))

    def time(self, kind: str, act: Callable[[], object]) -> None:
        started = time.perf_counter()
        act()
        self.took.setdefault(kind, []).append(time.perf_counter() - started)

    def read(self, name: str, sparql: Sparql) -> None:
        """Everything that the page does with one name, and a query."""
        facts, entity = Facts(self.graph), entity_iri(name)
        self.time("search", lambda: facts.search(name, 20))
        self.time("view", lambda: facts.entity(entity.rpartition(":")[2]))
        self.time("sparql", lambda: sparql.query(QUERY % entity, timeout_s=60))
        self.time("health", facts.counts)

    def figures(self) -> dict[str, Any]:
        """Milliseconds; how often a second for takes."""
        found: dict[str, Any] = {"start_s": round(self.start_s, 2), "memory_mb": round(self.memory_mb)}
        for kind, seconds in self.took.items():
            p50, p95 = statistics.median(seconds), sorted(seconds)[int(0.95 * (len(seconds) - 1))]
            found[kind] = {"p50_ms": round(p50 * 1e3, 2), "p95_ms": round(p95 * 1e3, 2), "per_s": round(1 / p50, 1)}
        return {**found, **Facts(self.graph).counts()}


def measure(facts: int, folder: Path) -> dict[str, Any]:
    """Both graphs take the same kinds of events by turns, so that what slows the machine slows both."""
    started = time.perf_counter()
    fill(folder / "large", facts)
    fill_s = time.perf_counter() - started
    documents = facts // FACTS_EACH
    subjects = {"empty": Subject(folder / "empty", facts, 0), "large": Subject(folder / "large", facts, documents)}
    askers = {name: Sparql(each.graph) for name, each in subjects.items()}
    names = [*_names(facts)]
    for number in range(ROUNDS):
        new = [document(number * TAKEN + i, facts, seed=SEED + 1) for i in range(TAKEN)]
        for subject in _by_turns(subjects, number):
            subject.take("new documents", new)
        for name, subject in subjects.items():
            # In the empty graph what was just taken is replaced; in the large one what was loaded.
            again = [_next_version(each, number * TAKEN + i, facts, name) for i, each in enumerate(new)]
            subject.take("new versions", again)
            told = again[0].extraction
            assert told is not None
            subject.read(names[number % len(names)] if name == "large" else told.entities[0].text, askers[name])
    found = {name: each.figures() for name, each in subjects.items()}
    for each in subjects.values():
        each.graph.close()
    size = sum(each.stat().st_size for each in (folder / "large" / "store").iterdir())
    return {"facts": facts, "fill_s": round(fill_s, 1), "store_mb": round(size / 1e6), **found}


def _next_version(event: Event, number: int, facts: int, name: str) -> Event:
    return document(number, facts, version=1, seed=SEED + (name == "empty"))


def _by_turns(subjects: Mapping[str, Subject], number: int) -> list[Subject]:
    return [*subjects.values()][:: 1 if number % 2 else -1]


def _names(facts: int) -> Iterator[str]:
    for number in range(ROUNDS):
        told = document(ROUNDS * TAKEN + number, facts).extraction
        assert told is not None
        yield told.entities[0].text


def _memory() -> int:
    used: int = psutil.Process().memory_info().rss
    return used


def tables(found: Mapping[str, Any]) -> list[Table]:
    """A row for each thing that is done."""
    empty, large = found["empty"], found["large"]
    rows = []
    for name, kind in {
        "events/s: new documents": "new documents",
        "events/s: new versions": "new versions",
    }.items():
        one, other = empty[kind]["per_s"], large[kind]["per_s"]
        rows.append((name, f"{one:,.0f}", f"{other:,.0f}", f"{other / one:.2f}"))
    for name, kind in {"search": "search", "entity view": "view", "SPARQL, a process each": "sparql"}.items():
        for part in ("p50_ms", "p95_ms"):
            one, other = empty[kind][part], large[kind][part]
            rows.append((f"{name}, {part[:3]}, ms", f"{one:,.1f}", f"{other:,.1f}", f"{other / one:.1f}"))
    rows.append(("start, s", f"{empty['start_s']:.1f}", f"{large['start_s']:.1f}", ""))
    rows.append(("memory for names, MB", f"{empty['memory_mb']:,}", f"{large['memory_mb']:,}", ""))
    title = (
        f"Knowledge base: {large['facts']:,} facts, {large['entities']:,} entities, {large['documents']:,} documents, "
        f"{found['store_mb'] / 1e3:.1f} GB; loaded in {found['fill_s']:.0f} s"
    )
    return [queue_report.table(title, ("", "empty", "large", "large/empty"), rows)]


@click.command()
@click.option("--facts", type=click.IntRange(1000), default=1_000_000, show_default=True, help="In the large graph.")
@click.option("--json", "target", type=click.Path(path_type=Path), default=queue_report.TARGET, show_default=True)
def main(facts: int, target: Path) -> None:
    """Measure, print the table and merge the figures into the file."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=os.environ.get("TMPDIR")) as folder:
        found = measure(facts, Path(folder))
    queue_report.merge(target, "knowledge", found)
    queue_report.show(*tables(found))


if __name__ == "__main__":
    main()
