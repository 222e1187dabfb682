"""What webhooks carry."""

from typing import Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from sluice_schemas.extraction import Extraction
from sluice_schemas.job import EndpointName, Job
from sluice_schemas.linked_data import linked_data
from sluice_schemas.wire import Strict, Wire, json_bytes, parsed

Result = Literal["extraction.completed", "extraction.failed"]
EventType = Literal["extraction.completed", "extraction.failed", "endpoint.disabled"]


class Link(Strict):
    """Where an event that was too large for its webhook can be had whole, with GET, until it expires.

    The URL is signed: whoever has it may read.
    """

    url: str
    expires_at: str
    """ISO 8601 with its zone."""


class Event(Wire):
    """The body of a webhook about a job. If that succeeded, it has the `extraction`, or a `link` to the whole event.

    `linked_data` says the same as the extraction, as JSON-LD, to endpoints that want it.
    """

    type: Result
    timestamp: str
    """When the job ended, ISO 8601 with its zone."""
    job: Job
    extraction: Extraction | None = None
    linked_data: dict[str, JsonValue] | None = None
    link: Link | None = None

    @field_validator("linked_data")
    @classmethod
    def _storable(cls, linked: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        json_bytes(linked)
        return linked

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        has_succeeded = self.job.state == "succeeded"
        has_result = (self.extraction is not None) + (self.link is not None)
        if has_succeeded != (has_result == 1) or has_succeeded != (self.type == "extraction.completed"):
            raise ValueError(f"an {self.type} event of a {self.job.state} job contradicts itself; see the job's state")
        if self.linked_data is not None and self.extraction is None:
            raise ValueError("an event has linked_data and no extraction; send both, or a link to both")
        return self

    def linked(self) -> "Event":
        """With its linked data."""
        if self.extraction is None:
            return self
        return self.model_copy(update={"linked_data": linked_data(self.job, self.extraction)})

    def thin(self, link: Link) -> "Event":
        """With a link in place of what is large."""
        return self.model_copy(update={"extraction": None, "linked_data": None, "link": link})


class Notice(Wire):
    """About an endpoint: that it is disabled, to those who asked to be told, or a test, which says that it works."""

    type: Literal["endpoint.disabled", "endpoint.test"]
    timestamp: str
    endpoint: EndpointName
    reason: str = ""


class BatchItem(Strict):
    """One of several events in one webhook. Its `id` is the one to remember: it stays the same over retries."""

    id: str
    event: Event


class EventBatch(Wire):
    """The body of a webhook to an endpoint that takes several events at once."""

    type: Literal["extraction.batch"]
    events: tuple[BatchItem, ...] = Field(min_length=1)


def read(raw: bytes) -> Event | Notice | EventBatch:
    """The body of any webhook. Raises `BadInput` or `UnknownVersion`."""
    match fields := parsed(raw):
        case {"type": "endpoint.disabled" | "endpoint.test"}:
            return Notice.of(fields)
        case {"type": "extraction.batch"}:
            return EventBatch.of(fields)
    return Event.of(fields)
