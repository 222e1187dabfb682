"""Takes new versions of documents until it is killed, and says each that was acknowledged: `python taker.py FOLDER`."""

import sys
from pathlib import Path

from knowledge.knowledge_events import completed

from sluice_knowledge import books
from sluice_knowledge.graph import Graph

DOCUMENTS = ("a", "b", "c")
FACTS = 40


def main() -> None:
    graph = Graph(Path(sys.argv[1]))
    (first, *_) = [*books.standing(graph.store, books.document_node(completed(document="c").job)).values(), None]
    version = 0 if first is None else first.version + 1
    while True:
        for name in DOCUMENTS:
            # Each version says other things, and one thing that all say.
            said = [(f"{name} {version} {number}", "precedes", "the end") for number in range(FACTS)]
            event = completed(*said, document=name, document_version=version, id=f"{version:08}")
            graph.take(event, f"{name}-{version}")
            sys.stdout.write(f"{name} {version}\n")
            sys.stdout.flush()
        version += 1


if __name__ == "__main__":
    main()
