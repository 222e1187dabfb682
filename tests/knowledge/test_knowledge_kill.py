"""A process is killed while it takes events: what it acknowledged stands, and nothing stands by half."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from knowledge import taker
from knowledge.knowledge_events import completed

from sluice_knowledge import books, tally
from sluice_knowledge.graph import Graph
from sluice_knowledge.terms import ENTITY, FACT, LABEL, TYPE, value

ROUNDS = 10
SEED = 7


def test_killed_in_the_middle_of_taking(tmp_path: Path) -> None:
    chance, stood, moved = random.Random(SEED), dict[str, int](), 0
    for _ in range(ROUNDS):
        told = killed_after(tmp_path, chance.uniform(0.0, 0.25))
        moved += bool(told)
        graph = Graph(tmp_path)
        for name in taker.DOCUMENTS:
            now = stands_whole(graph, name)
            # What was acknowledged stands; what was under way when it died is there, or is not.
            assert now in (told[name], told[name] + 1) if name in told else now >= stood.get(name, -1)
            stood[name] = now
        assert graph.tally.facts == tally.count(graph.store, FACT)
        entities = {quad.subject for quad in graph.store.quads_for_pattern(None, TYPE, ENTITY, None)}
        assert len(graph.names) == len(entities)
        graph.close()
    assert moved > ROUNDS / 2, "too few rounds got as far as taking something"


def killed_after(folder: Path, seconds: float) -> dict[str, int]:
    """The last versions it acknowledged. The time counts from the first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen([sys.executable, taker.__file__, folder], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.kill()
    lines = (first + process.stdout.read()).decode().splitlines(keepends=True)
    process.stdout.close()
    process.wait()
    # A line without its end was cut.
    return {name: int(version) for name, version in (each.split() for each in lines if each.endswith("\n"))}


def stands_whole(graph: Graph, name: str) -> int:
    """The version of a document that stands, with all that it says and nothing else; -1 for none."""
    standing = books.standing(graph.store, books.document_node(completed(document=name).job))
    assert len(standing) <= 1
    for stands, key in standing.items():
        assert books.is_known(graph.store, f"{name}-{key.version}")
        quads = [*graph.store.quads_for_pattern(None, None, None, stands)]
        labels = {value(quad.object) for quad in quads if quad.predicate == LABEL}
        said = {label for label in labels if label.startswith(f"{name} ")}
        assert said == {f"{name} {key.version} {number}" for number in range(taker.FACTS)}
        assert sum(quad.predicate == TYPE and quad.object == FACT for quad in quads) == taker.FACTS
    return max((key.version for key in standing.values()), default=-1)
