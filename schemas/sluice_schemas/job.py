"""A job: one document under one schema, as its caller sees it."""

from typing import Annotated, Literal

from pydantic import Field

from sluice_schemas.document import Document, DocumentId
from sluice_schemas.wire import Count, Wire

State = Literal["queued", "running", "succeeded", "dead", "cancelled", "expired"]
TERMINAL: frozenset[State] = frozenset({"succeeded", "dead", "cancelled", "expired"})
Priority = Literal["interactive", "bulk", "replay"]
EndpointName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class Order(Wire):
    """What is accepted: a document, what to extract from it, and where the result goes.

    `key` makes accepting idempotent: the same key with the same content is the same job.
    `timeout_s` counts from acceptance; after it the job expires. `reviewable` keeps the document in the ledger for as
    long as the result, so that a reviewer's correction needs the job's id alone; else it goes when the job ends.
    """

    document: Document
    schema_ref: str
    key: str = Field(min_length=1, max_length=200)
    priority: Priority = "interactive"
    tenant: str = Field(default="default", min_length=1, max_length=64)
    endpoints: tuple[EndpointName, ...] = Field(default=(), max_length=8)
    timeout_s: float | None = Field(default=None, gt=0)
    reviewable: bool = False


class Job(Wire):
    """The public face of a ledger entry. Times are Unix seconds by Redis's clock."""

    id: str
    state: State
    document_id: DocumentId
    document_version: Count = 0
    schema_ref: str
    priority: Priority
    tenant: str = "default"
    endpoints: tuple[EndpointName, ...] = ()
    attempts: Count = 0
    fence: Count = 0
    """How often it was taken in hand. Of two events of one job, that with the higher fence is the newer."""
    accepted_at: float
    ended_at: float | None = None
    deadline: float | None = None
    reason: str | None = None
    """Why it is dead, cancelled or expired, or why the last attempt failed."""

    @property
    def has_ended(self) -> bool:
        return self.state in TERMINAL
