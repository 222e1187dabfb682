"""Finds extraction schemas by their ref: published ones in the ledger, then the library that ships."""

from sluice_schemas import shelf
from sluice_schemas.errors import NotFound
from sluice_schemas.ledger import SchemaRegistry
from sluice_schemas.schema import ExtractionSchema


class Catalogue:
    """Remembers what it found: a published version never changes."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._known: dict[str, ExtractionSchema] = {}

    def find(self, ref: str) -> ExtractionSchema:
        """Raises `NotFound` for a ref that is neither published nor shipped."""
        if (known := self._known.get(ref)) is None:
            # Without a lock: looking up twice does no harm, and a slow Redis holds back only those who need it.
            known = self._look_up(ref)
            self._known[ref] = known
        return known

    def _look_up(self, ref: str) -> ExtractionSchema:
        try:
            return self._registry.schema(ref)
        except NotFound:
            return shelf.find(ref)
