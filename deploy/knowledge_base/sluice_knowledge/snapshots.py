"""Frozen copies of the store, so that a query can run in a process of its own, which can be killed."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice_knowledge.graph import Graph


class Snapshots:
    """A copy is a folder of hard links: it takes milliseconds, and no room as long as the store keeps the same files.

    Each goes when its query ends, as the files that a copy keeps would otherwise pile up.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._folder = graph.folder.parent / "snapshots"
        # What a killed process left.
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()

    @contextmanager
    def taken(self) -> Iterator[Path]:
        """A copy that holds all that was taken before; it stays until the block ends."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            copy = Path(folder) / "store"
            self._graph.store.backup(copy)
            yield copy
