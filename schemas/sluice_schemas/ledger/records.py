"""What the ledger hands out and takes in: claims, counts and limits, the same for Redis and for the twin in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sluice_schemas.job import Job, Order, State
from sluice_schemas.queues import Bell

Verdict = Literal["retry", "suspect", "dead"]
"""What a failed attempt makes of its job: another try, another try alone, or the end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the ledger holds itself to. `max_jobs` and `max_bytes` bound the backlog: jobs that have not ended.

    A queued job's doorbell counts as lost after `ring_after_s`, and later in a long backlog: plus as much again for
    each 1,000 queued. Results live `retention_s` after the end; rows and idempotency keys an hour longer.
    """

    max_jobs: int = 100_000
    max_bytes: int = 1024**3
    max_tries: int = 3
    lease_s: float = 30.0
    retention_s: float = 7 * 86_400.0
    ring_after_s: float = 30.0
    sweep_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to run one job until its lease ends. The job's `fence` grows with each claim.

    `attempt` counts from 1. A suspect was in flight when a worker vanished or an engine died: run it alone.
    """

    job_id: str
    fence: int
    attempt: int
    is_suspect: bool
    order: Order
    deadline: float | None = None
    accepted_at: float = 0.0

    @property
    def job(self) -> Job:
        """The job's public face while this claim runs it."""
        order = self.order
        return Job(
            id=self.job_id,
            state="running",
            document_id=order.document.id,
            schema_ref=order.schema_ref,
            priority=order.priority,
            tenant=order.tenant,
            endpoints=order.endpoints,
            attempts=self.attempt,
            accepted_at=self.accepted_at,
            deadline=self.deadline,
        )


@dataclass(frozen=True, slots=True)
class DeliveryClaim:
    """The right to post one event to one endpoint. `id` is the `webhook-id`, the same over all attempts."""

    id: str
    job_id: str
    endpoint: str
    body: bytes
    attempt: int
    fence: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a failed attempt left its job, and the deliveries this put in the outbox."""

    state: State
    deliveries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep set right. The caller rings `doorbells`."""

    doorbells: tuple[Bell, ...] = ()
    expired: tuple[str, ...] = ()
    buried: tuple[str, ...] = ()
    taken_back: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that ended dead, with its evidence."""

    job: Job
    traceback: str
    raw: str


@dataclass(frozen=True, slots=True)
class Counts:
    """The ledger's depth now. `delayed` jobs are queued too, but wait for their time; `ended` counts since ever."""

    is_closed: bool = False
    """Whether the intake is closed."""
    queued: int = 0
    delayed: int = 0
    running: int = 0
    dead: int = 0
    deliveries: int = 0
    backlog_bytes: int = 0
    oldest_age_s: float = 0.0
    ended: Mapping[str, int] = field(default_factory=dict)
