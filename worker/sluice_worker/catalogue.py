"""Finds extraction schemas by their ref: published ones in the ledger, then the library that ships."""

import threading

from sluice_schemas import shelf
from sluice_schemas.errors import NotFound
from sluice_schemas.ledger import SchemaRegistry
from sluice_schemas.schema import ExtractionSchema


class Catalogue:
    """Remembers what it found: a published version never changes."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._known: dict[str, ExtractionSchema] = {}
        self._lock = threading.Lock()

    def find(self, ref: str) -> ExtractionSchema:
        """Raises `NotFound` for a ref that is neither published nor shipped."""
        with self._lock:
            if ref not in self._known:
                self._known[ref] = self._look_up(ref)
            return self._known[ref]

    def _look_up(self, ref: str) -> ExtractionSchema:
        try:
            return self._registry.schema(ref)
        except NotFound:
            return shelf.find(ref)
