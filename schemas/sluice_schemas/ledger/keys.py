"""Names in the ledger: Redis keys under one hash tag, job ids, fingerprints and delivery ids."""

import hashlib
import secrets
import time

import orjson

from sluice_schemas.job import Job, Order

PREFIX = "{sluice}:"
"""All keys share one hash tag, so that a script may touch any of them."""


def new_job_id() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7) as 32 hex digits: ids sort by the time they were made, in ms."""
    random = secrets.randbits(74)
    high = (time.time_ns() // 1_000_000) << 16 | 0x7000 | random >> 62
    return f"{high:016x}{1 << 63 | random & (1 << 62) - 1:016x}"


def key_digest(order: Order) -> str:
    """Names an idempotency key; each tenant has its own."""
    return hashlib.sha256(orjson.dumps([order.tenant, order.key])).hexdigest()


def fingerprint(order: Order) -> str:
    """Equal fingerprint, equal work: the same document under the same schema to the same endpoints."""
    content = [order.document.model_dump(mode="json"), order.schema_ref, list(order.endpoints)]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def deliveries(job: Job) -> dict[str, str]:
    """Delivery id -> endpoint for the event that ends the job under its fence; asking again gives the same ids."""
    return {
        "msg_" + hashlib.sha256(f"{job.id}:{job.fence}:{endpoint}".encode()).hexdigest()[:32]: endpoint
        for endpoint in dict.fromkeys(job.endpoints)
    }
