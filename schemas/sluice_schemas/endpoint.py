"""Endpoints: where webhooks go, registered by ops under a name that jobs and schemas use."""

from typing import Annotated, Literal

import orjson
from pydantic import Field, ValidationInfo, field_validator

from sluice_schemas.event import EventType
from sluice_schemas.job import EndpointName
from sluice_schemas.wire import Count, Strict, Wire

MAX_BATCH = 100
SchemaName = Annotated[str, Field(min_length=1, max_length=200)]


class Endpoint(Wire):
    """How an endpoint wants its webhooks. Its signing secret is not here: it is in the deliverers' environment.

    It gets `events` of jobs that name it, under `schemas` alone where some are listed (`id`, or exactly `id@version`).
    `endpoint.disabled` is about other endpoints, and comes without being named. At most `concurrency` posts are under
    way at once, `rate_per_s` of them begin in a second over a few seconds, and each carries up to `batch` events.
    """

    name: EndpointName
    url: str = Field(pattern=r"^https?://[^/@\s]+(/\S*)?$", max_length=2000, repr=False)
    events: tuple[EventType, ...] = ("extraction.completed", "extraction.failed")
    schemas: tuple[SchemaName, ...] = Field(default=(), max_length=100)
    rate_per_s: float | None = Field(default=None, gt=0)
    batch: int = Field(default=1, ge=1, le=MAX_BATCH, strict=True)
    concurrency: int = Field(default=4, ge=1, le=64, strict=True)
    linked_data: bool = True
    allow_http: bool = Field(default=False, validate_default=True)

    @field_validator("allow_http")
    @classmethod
    def _encrypted(cls, allow_http: bool, info: ValidationInfo) -> bool:
        if not allow_http and str(info.data.get("url", "")).startswith("http://"):
            raise ValueError("the URL is plain http, which anybody on the way reads; use https, or allow it")
        return allow_http

    def encode_whole(self) -> bytes:
        """As the ledger keeps it: its scripts know no defaults."""
        return orjson.dumps({"v": self.format_version, **self.model_dump(mode="json")})


class EndpointStatus(Strict):
    """How an endpoint is doing. Times are Unix seconds by Redis's clock.

    While its deliveries fail one after the other (`failures` of them, since `failing_since`) it is left alone until
    `open_until`, and then tried with one post. A `paused` one keeps what waits; to a `disabled` one nothing goes, and
    what is for it fails until it is resumed.
    """

    endpoint: Endpoint
    state: Literal["active", "paused", "disabled"] = "active"
    reason: str = ""
    waiting: Count = 0
    delivered: Count = 0
    failed: Count = 0
    failures: Count = 0
    failing_since: float | None = None
    open_until: float | None = None
