"""Published extraction schemas in Redis: written once, read by both sides."""

from sluice_schemas.errors import Conflict, NotFound
from sluice_schemas.ledger.scripts import Scripts
from sluice_schemas.schema import ExtractionSchema


class RedisRegistry:
    """One hash, ref -> schema. HSETNX lets the first writer of a ref win, for ever."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def publish(self, schema: ExtractionSchema) -> None:
        """See `faces.SchemaRegistry`."""
        if not self._scripts.command("HSETNX", "schemas", schema.ref, schema.encode()):
            refuse_other(schema, self.schema(schema.ref))

    def schema(self, ref: str) -> ExtractionSchema:
        raw = self._scripts.command("HGET", "schemas", ref)
        if raw is None:
            raise unknown_schema(ref)
        return ExtractionSchema.decode(raw)

    def schemas(self) -> list[str]:
        return sorted(ref.decode() for ref in self._scripts.command("HKEYS", "schemas"))


def refuse_other(schema: ExtractionSchema, published: ExtractionSchema) -> None:
    """Raises `Conflict` when the schema is not what was published under its ref."""
    if schema.digest != published.digest:
        raise Conflict(
            f"Schema {schema.ref} is published with other content, and a published version never changes. "
            f"Publish this as {schema.id}@{schema.version + 1}."
        )


def unknown_schema(ref: str) -> NotFound:
    """The error for a ref that nobody published."""
    return NotFound(f"No schema {ref!r} is published. `sluice schemas list` shows which are; publish it first.")
