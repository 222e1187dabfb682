"""What the twin in memory keeps of a job, and the turn that jobs and deliveries wait for and hold."""

from dataclasses import dataclass
from typing import Literal

from sluice_schemas.extraction import Extraction
from sluice_schemas.job import TERMINAL, Job, Order
from sluice_schemas.ledger.records import Outcome

QUEUED = Outcome("queued")


@dataclass(slots=True)
class Turn:
    """A row's place: queued, delayed until `due_at`, running, or over."""

    place: Literal["queued", "delayed", "running", "over"] = "queued"
    due_at: float = 0.0
    lease_ends: float = 0.0
    fence: int = 0
    settled: tuple[int, str] = (0, "")
    settled_as: Outcome = QUEUED
    attempts: int = 0

    def ring(self) -> None:
        self.place = "queued"

    def delay(self, until: float) -> None:
        self.place, self.due_at = "delayed", until

    def take(self, lease_ends: float) -> None:
        self.place, self.lease_ends = "running", lease_ends
        self.fence += 1

    def is_delay_over(self, now: float) -> bool:
        return self.place == "delayed" and self.due_at <= now

    def is_held(self, fence: int) -> bool:
        return self.place == "running" and self.fence == fence

    def settle(self, fence: int, verb: str, outcome: Outcome = QUEUED) -> Outcome:
        self.settled, self.settled_as = (fence, verb), outcome
        return outcome


@dataclass(slots=True)
class JobRow:
    """A job with its order."""

    id: str
    order: Order
    key: str
    fingerprint: str
    size: int
    cost: int
    accepted_at: float
    turn: Turn
    start: float | None = None
    """Its turn in the line of its class."""
    state: str = ""
    deadline: float | None = None
    ended_at: float | None = None
    reason: str | None = None
    is_suspect: bool = False
    traceback: str = ""
    raw: str = ""
    is_dropped: bool = False
    result: Extraction | None = None

    @property
    def has_ended(self) -> bool:
        return self.state in TERMINAL

    @property
    def is_dead_letter(self) -> bool:
        return self.state == "dead" and not self.is_dropped

    def is_overdue(self, now: float) -> bool:
        return not self.has_ended and self.deadline is not None and self.deadline <= now

    def face(self) -> Job:
        return Job.model_validate(
            {
                "id": self.id,
                "state": self.state or ("running" if self.turn.place == "running" else "queued"),
                "document_id": self.order.document.id,
                "document_version": self.order.document.version,
                "schema_ref": self.order.schema_ref,
                "priority": self.order.priority,
                "tenant": self.order.tenant,
                "endpoints": self.order.endpoints,
                "attempts": self.turn.attempts,
                "fence": self.turn.fence,
                "accepted_at": self.accepted_at,
                "ended_at": self.ended_at,
                "deadline": self.deadline,
                "reason": self.reason,
            }
        )
