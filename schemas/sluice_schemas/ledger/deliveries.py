"""What the outbox hands out and takes in: deliveries, and what became of a post."""

from dataclasses import dataclass
from typing import Literal

from sluice_schemas.endpoint import Endpoint

Result = Literal["delivered", "refused", "gone", "released"]
"""Of a post: taken; not taken, which counts against its endpoint; its endpoint wants no more; nothing was tried."""


@dataclass(frozen=True, slots=True)
class DeliveryClaim:
    """The right to post one event. `id` is the `webhook-id`, the same over all attempts; `attempt` counts from 1."""

    id: str
    job_id: str
    body: bytes
    attempt: int
    fence: int


@dataclass(frozen=True, slots=True)
class Consignment:
    """What one post takes to one endpoint. `has_more` says that others wait for it, and that it would take them."""

    endpoint: Endpoint
    holder: str
    claims: tuple[DeliveryClaim, ...]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a post ended. `reason` is for ops; `wait_s` is how long the endpoint asked to be left alone."""

    result: Result
    reason: str = ""
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of the outbox that has not been delivered. Times are Unix seconds; `due_at` only while it waits for it."""

    id: str
    job_id: str
    endpoint: str
    state: Literal["queued", "running", "failed"]
    attempts: int
    created_at: float
    due_at: float | None = None
    failed_at: float | None = None
    reason: str = ""
    body: bytes = b""
