"""What a reviewer says about a result: it is right, or this is what it should have been."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from sluice_schemas.document import Document
from sluice_schemas.extraction import EventMention, Mention, Relation
from sluice_schemas.wire import Wire

Share = Literal["train", "dev", "test"]
"""What a label is for: to train, to choose between trainings, or to judge what came of them."""


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


@dataclass(frozen=True, slots=True)
class Stored:
    """A label that is on disk, under a number that grows. `is_new` is false for one that was there already."""

    id: int
    share: Share
    is_new: bool = True
