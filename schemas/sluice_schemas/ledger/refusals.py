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


REACHED = {
    "max_jobs": "jobs (SLUICE_BACKLOG_JOBS)",
    "max_bytes": "bytes (SLUICE_BACKLOG_BYTES)",
    "max_deliveries": "webhooks that wait for an endpoint (SLUICE_BACKLOG_DELIVERIES)",
}


def backlog(limit: str, *, jobs: int, size_bytes: int, deliveries: int, oldest_age_s: float) -> Full:
    """Says when to come back: by Little's law (1961) a hundredth of the backlog ends in a hundredth of its age."""
    retry_after_s = min(60.0, max(1.0, oldest_age_s / 100))
    return Full(
        f"The backlog is at its limit of {REACHED[limit]}: {jobs} jobs, {size_bytes} bytes, {deliveries} webhooks. "
        f"Nothing was accepted; try again in {retry_after_s:.0f} s.",
        retry_after_s=retry_after_s,
    )


def closed() -> Full:
    return Full(
        "The intake is closed, probably for an upgrade. Nothing was accepted; try again until it is open.",
        retry_after_s=10.0,
    )


def no_endpoint(name: str) -> NotFound:
    return NotFound(f"No endpoint is registered as {name!r}. `sluice endpoints list` shows them, `add` registers one.")


def other_endpoint(name: str) -> Conflict:
    return Conflict(f"{name!r} is registered with other settings. Say --replace to change it.")


def deliveries_wait(name: str, waiting: int) -> Conflict:
    return Conflict(
        f"{waiting} webhooks wait for {name!r}. Let them be delivered first, or say --force: then they fail, and can "
        "be replayed when an endpoint of that name is there again."
    )


def disabled(name: str) -> Conflict:
    return Conflict(f"The endpoint {name!r} is disabled. `sluice endpoints resume {name}` opens it again.")


def no_delivery(delivery_id: str) -> NotFound:
    return NotFound(f"No delivery {delivery_id!r} waits or failed: it was delivered, or its time to live is over.")


def not_failed(delivery_id: str) -> NotFound:
    return NotFound(f"Delivery {delivery_id!r} is not among the failed ones. `sluice deliveries list` shows them.")


def lost(row_id: str, state: str) -> Lost:
    return Lost(f"The claim on {row_id} is over: it is {state} by another's hand. Drop this work; nothing was written.")
