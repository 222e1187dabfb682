"""All the schemas that can be named: those that ship, which nobody can shadow, then those that were published."""

import difflib
from collections.abc import Collection

from sluice_schemas import shelf
from sluice_schemas.errors import NotFound
from sluice_schemas.ledger import SchemaRegistry
from sluice_schemas.ledger.registry import refuse_other
from sluice_schemas.schema import ExtractionSchema


class Catalogue:
    """A ref never changes its content, so each is looked up once."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._found: dict[str, ExtractionSchema] = {}

    def find(self, ref: str) -> ExtractionSchema:
        """The schema of that exact `id@version`. Raises `NotFound`, which names what comes close."""
        shipped = shelf.library()
        if ref in shipped:
            return shipped[ref]
        if ref not in self._found:
            try:
                self._found[ref] = self._registry.schema(ref)
            except NotFound as exc:
                raise NotFound(f"There is no schema {ref[:80]!r}. {_advice(ref, self.refs())}") from exc
        return self._found[ref]

    def refs(self) -> list[str]:
        """All there are, sorted."""
        return sorted({*shelf.library(), *self._registry.schemas()})

    def publish(self, schema: ExtractionSchema) -> None:
        """Stands for ever once it returns. Raises `Conflict` when the ref stands for other content."""
        shipped = shelf.library().get(schema.ref)
        if shipped is not None:
            refuse_other(schema, shipped)
        self._registry.publish(schema)


def _advice(ref: str, refs: Collection[str]) -> str:
    schema_id = ref.partition("@")[0]
    versions = [int(each.partition("@")[2]) for each in refs if each.partition("@")[0] == schema_id]
    if versions:
        return f"A reference is exact, id@version; the newest is {schema_id}@{max(versions)}."
    close = difflib.get_close_matches(ref, refs, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return "`sluice schemas list` shows those there are."
