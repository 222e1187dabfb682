"""Which adapter a document is read with: the seam between the work on a document and whoever follows the aliases."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from sluice_schemas.document import Document
from sluice_schemas.extraction import Extraction
from sluice_schemas.schema import ExtractionSchema


class Chooser(Protocol):
    """Safe for many threads."""

    def chosen(self, schema_ref: str) -> AbstractContextManager[str | None]:
        """The adapter for a document under this schema, loaded until the block ends; None is the bare model."""

    def committed(self, document: Document, schema: ExtractionSchema, extraction: Extraction) -> None:
        """A result was committed. Returns at once."""


class Bare:
    """The bare model, always."""

    def chosen(self, schema_ref: str) -> AbstractContextManager[str | None]:
        return nullcontext(None)

    def committed(self, document: Document, schema: ExtractionSchema, extraction: Extraction) -> None:
        return None
