"""The sentences with which the ledger refuses, the same from Redis and from the twin."""

from sluice_schemas.errors import Conflict, Full, Lost, NotFound
from sluice_schemas.job import Order


def no_job(job_id: str) -> NotFound:
    return NotFound(f"No job {job_id!r}: the id was never given out, or the job's time to live is over.")


def no_result(job_id: str) -> NotFound:
    return NotFound(f"Job {job_id!r} succeeded, but its result's time to live is over. Submit the document again.")


def not_dead(job_id: str) -> NotFound:
    return NotFound(f"Job {job_id!r} is not among the dead letters. `sluice dead list` shows them.")


def other_content(order: Order, job_id: str) -> Conflict:
    return Conflict(
        f"The key {order.key!r} already stands for job {job_id}, which has another document, schema or endpoints. "
        "Use a new key for new content."
    )


def backlog(jobs: int, size_bytes: int) -> Full:
    return Full(f"The backlog is at its limit: {jobs} jobs, {size_bytes} bytes. Nothing was accepted; try again later.")


def closed() -> Full:
    return Full("The intake is closed, probably for an upgrade. Nothing was accepted; try again until it is open.")


def lost(row_id: str, state: str) -> Lost:
    return Lost(f"The claim on {row_id} is over: it is {state} by another's hand. Drop this work; nothing was written.")
