"""What the promise knows of a job and of a webhook: the records of `ledger_machine.py`."""

from dataclasses import dataclass, field

from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job
from sluice_schemas.ledger import Claim


@dataclass
class Entry:
    """A job as the promise knows it."""

    id: str
    text: str
    endpoints: tuple[str, ...]
    deadline: float | None
    place: str = "waiting"
    """waiting, delayed, running, or the state in which it ended."""
    due_at: float = 0.0
    lease_ends: float = 0.0
    fence: int = 0
    attempts: int = 0
    is_suspect: bool = False
    settled: tuple[int, str] = (0, "")
    result: Extraction | None = None
    ends: list[str] = field(default_factory=list)
    """Each end that its endpoints must hear of; a replay gives a job another one."""
    face: Job | None = None
    """What the ledger first told of its end."""

    @property
    def is_open(self) -> bool:
        return self.place in ("waiting", "delayed", "running")

    def is_held(self, claim: Claim) -> bool:
        return self.place == "running" and self.fence == claim.fence

    def end(self, state: str) -> None:
        self.place = state
        if state != "cancelled":
            self.ends.append(state)

    def end_by_ledger(self, state: str) -> None:
        """Whoever held it or settled it before has lost it."""
        self.fence += 1
        self.settled = self.fence, "fail"
        self.end(state)


@dataclass
class Post:
    """A webhook as the promise knows it."""

    body: bytes
    endpoint: str
    lease_ends: float = 0.0
    fence: int = 0
    """Its holder's, or 0."""
    last_fence: int = 0
    settled: tuple[int, str] = (0, "")
    is_over: bool = False
