"""What a reviewer says about a result: it is right, or this is what it should have been."""

from typing import Literal

from pydantic import Field

from sluice_schemas.document import Document
from sluice_schemas.extraction import EventMention, Mention, Relation
from sluice_schemas.wire import Wire


class Label(Wire):
    """The full set of what stands in a document under a schema, by a person's word.

    Whatever is not listed does not stand in the text: an empty label says that there is nothing.
    """

    document: Document
    schema_ref: str
    verdict: Literal["confirmed", "corrected", "imported"]
    author: str = Field(min_length=1, max_length=200)
    job_id: str | None = None
    entities: tuple[Mention, ...] = ()
    relations: tuple[Relation, ...] = ()
    events: tuple[EventMention, ...] = ()
