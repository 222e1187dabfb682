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

    While `max_deliveries` wait for an endpoint, jobs that name it are refused. Classes of priority share by their
    weights what is worked on. Results live `retention_s` after the end; rows and idempotency keys an hour longer.

    After `breaker_failures` posts in a row that failed, an endpoint is left alone for `breaker_s`, after each further
    one for twice as long, up to `breaker_most_s`; after `disable_after_s` without a success it is disabled.
    """

    max_jobs: int = 100_000
    max_bytes: int = 1024**3
    max_deliveries: int = 100_000
    max_tries: int = 3
    weight_interactive: float = 16.0
    weight_bulk: float = 4.0
    weight_replay: float = 1.0
    lease_s: float = 30.0
    retention_s: float = 7 * 86_400.0
    breaker_failures: int = 5
    breaker_s: float = 30.0
    breaker_most_s: float = 1800.0
    disable_after_s: float = 5 * 86_400.0
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
    time_left_s: float | None = None
    """Until the deadline, when the claim was made: no clock but the ledger's decides about it."""
    accepted_at: float = 0.0

    @property
    def job(self) -> Job:
        """The job's public face while this claim runs it."""
        order = self.order
        return Job(
            id=self.job_id,
            state="running",
            document_id=order.document.id,
            document_version=order.document.version,
            schema_ref=order.schema_ref,
            priority=order.priority,
            tenant=order.tenant,
            endpoints=order.endpoints,
            attempts=self.attempt,
            fence=self.fence,
            accepted_at=self.accepted_at,
            deadline=self.deadline,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a failed attempt left its job, and how many deliveries in the outbox to ring for."""

    state: State
    rings: int = 0


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
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Jobs in the line of each class of priority."""
    delayed: int = 0
    running: int = 0
    dead: int = 0
    deliveries: int = 0
    backlog_bytes: int = 0
    oldest_age_s: float = 0.0
    ended: Mapping[str, int] = field(default_factory=dict)

    @property
    def queued(self) -> int:
        """Jobs that a worker may have at once."""
        return sum(self.waiting.values())
