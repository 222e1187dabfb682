"""What the outbox holds: what a webhook will say about a job that ends."""

from datetime import UTC, datetime

from sluice_schemas.event import Event
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, State

MAX_EVIDENCE_CHARS = 64 * 1024


def completed(job: Job, extraction: Extraction, *, at: float) -> Event:
    """Says that a job succeeded at a Unix time in seconds."""
    ended = job.model_copy(update={"state": "succeeded", "ended_at": at})
    return Event(type="extraction.completed", timestamp=_iso(at), job=ended, extraction=extraction)


def failed(job: Job, state: State, reason: str, *, at: float) -> Event:
    """Says that a job ended without a result."""
    ended = job.model_copy(update={"state": state, "ended_at": at, "reason": reason})
    return Event(type="extraction.failed", timestamp=_iso(at), job=ended)


def evidence(text: str) -> str:
    """A traceback or raw answer at the length the ledger keeps; what is cut is said."""
    if len(text) <= MAX_EVIDENCE_CHARS:
        return text
    return f"{text[:MAX_EVIDENCE_CHARS]} [cut here, {len(text)} characters in all]"


def overdue(job: Job) -> str:
    """The reason of a job that expired."""
    return f"The deadline passed {(job.deadline or 0) - job.accepted_at:g} s after the job was accepted."


def vanished(job: Job) -> str:
    """The reason of a job that took its workers down."""
    return f"The worker vanished while it ran this document, {job.attempts} times in {job.attempts} tries."


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
