"""The worker's face of the ledger in Redis: claim, settle, sweep, deliver."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from redis import Redis

from sluice_schemas.errors import Lost
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order, State
from sluice_schemas.ledger import (
    Claim,
    Counts,
    DeadLetter,
    DeliveryClaim,
    Limits,
    Outcome,
    Scripts,
    Swept,
    Verdict,
    events,
    keys,
    refusals,
)
from sluice_schemas.ledger.registry import RedisRegistry
from sluice_schemas.ledger.scripts import fields_of, job_of
from sluice_schemas.queues import Bell, delivery_bell, job_bell
from sluice_schemas.schema import ExtractionSchema


class RedisLedger:
    """A `WorkerLedger`; what each method promises stands there. A lost Redis is tried again for `retry_s` seconds."""

    def __init__(self, redis: Redis, *, retry_s: float = 5.0) -> None:
        self._scripts = Scripts(redis, retry_s=retry_s)
        self._registry = RedisRegistry(self._scripts)

    def set_limits(self, limits: Limits) -> None:
        self._scripts.command("HSET", "limits", *(part for limit in asdict(limits).items() for part in limit))

    def close_intake(self) -> None:
        self._scripts.command("SET", "closed", 1)

    def open_intake(self) -> None:
        self._scripts.command("DEL", "closed")

    def claim(self, job_id: str, worker: str) -> Claim | None:
        verdict, *rest = self._scripts.call("claim", job_id, _holder(worker))
        if verdict == b"claimed":
            return _claim_of(job_id, fields_of(rest[0]), Order.decode(rest[1]))
        if verdict == b"overdue":
            self._expire(job_id, fields_of(rest[0]))
        return None

    def renew(self, claims: Sequence[Claim]) -> dict[str, str]:
        gone = self._scripts.call("renew", *(part for claim in claims for part in (claim.job_id, claim.fence)))
        return {job_id.decode(): why.decode() for job_id, why in zip(gone[::2], gone[1::2], strict=True)}

    def commit(self, claim: Claim, extraction: Extraction) -> tuple[str, ...]:
        deliveries = keys.deliveries(claim.job, fence=claim.fence)
        body = events.completed(claim.job, extraction, at=self._scripts.now()) if deliveries else b""
        answer = self._scripts.call("commit", claim.job_id, claim.fence, extraction.encode(), body, *_flat(deliveries))
        _settled(claim.job_id, answer)
        return tuple(deliveries)

    def fail(
        self,
        claim: Claim,
        reason: str,
        *,
        verdict: Verdict,
        traceback: str = "",
        raw: str = "",
        retry_delay_s: float = 0.0,
    ) -> Outcome:
        evidence = events.evidence(traceback), events.evidence(raw)
        return self._fail(claim.job, claim.fence, verdict, retry_delay_s, reason, evidence)

    def release(self, claim: Claim) -> None:
        _settled(claim.job_id, self._scripts.call("release", claim.job_id, claim.fence))

    def sweep(self, limit: int = 100) -> Swept:
        taken_back, bells, overdue, spent = self._scripts.call("sweep", limit, _holder("sweeper"))
        rung = [_bell(*(part.decode() for part in bells[i : i + 3])) for i in range(0, len(bells), 3)]
        expired, buried = [], []
        for job_id, row in _rows(overdue):
            rung += self._expire(job_id, row)
            expired.append(job_id)
        for job_id, row in _rows(spent):
            rung += self._bury(job_id, row)
            buried.append(job_id)
        return Swept(tuple(rung), tuple(expired), tuple(buried), taken_back)

    def claim_delivery(self, delivery_id: str, worker: str) -> DeliveryClaim | None:
        row = fields_of(self._scripts.call("claim_delivery", delivery_id, _holder(worker)))
        if not row:
            return None
        return DeliveryClaim(
            id=delivery_id,
            job_id=row["job_id"].decode(),
            endpoint=row["endpoint"].decode(),
            body=row["body"],
            attempt=int(row["attempts"]),
            fence=int(row["fence"]),
        )

    def delivered(self, claim: DeliveryClaim) -> None:
        _settled(claim.id, self._scripts.call("settle_delivery", claim.id, claim.fence, "delivered", 0, ""))

    def retry_delivery(self, claim: DeliveryClaim, reason: str, *, delay_s: float, final: bool) -> None:
        outcome = "failed" if final else "retry"
        _settled(claim.id, self._scripts.call("settle_delivery", claim.id, claim.fence, outcome, delay_s, reason))

    def dead_letters(self, limit: int = 100) -> list[Job]:
        ids = [each.decode() for each in self._scripts.command("ZREVRANGE", "dead", 0, limit - 1)]
        rows = self._scripts.pipeline(*(("HGETALL", f"job:{job_id}") for job_id in ids))
        return [job_of(job_id, fields_of(row)) for job_id, row in zip(ids, rows, strict=True) if row]

    def dead_letter(self, job_id: str) -> DeadLetter:
        fields, since = self._scripts.pipeline(("HGETALL", f"job:{job_id}"), ("ZSCORE", "dead", job_id))
        row = fields_of(fields)
        if since is None or not row:
            raise refusals.not_dead(job_id)
        return DeadLetter(job_of(job_id, row), row["traceback"].decode(), row["raw"].decode())

    def replay(self, job_id: str) -> Job:
        row = fields_of(self._scripts.call("replay", job_id))
        if not row:
            raise refusals.not_dead(job_id)
        return job_of(job_id, row)

    def drop(self, job_id: str) -> None:
        if not self._scripts.call("drop", job_id):
            raise refusals.not_dead(job_id)

    def counts(self) -> Counts:
        sets = ("queued:job", "delayed:job", "running:job", "dead", "queued:delivery", "delayed:delivery")
        *depths, closed, size, first, ended = self._scripts.pipeline(
            *(("ZCARD", name) for name in (*sets, "running:delivery")),
            ("EXISTS", "closed"),
            ("GET", "bytes"),
            ("ZRANGE", "open", 0, 0, "WITHSCORES"),
            ("HGETALL", "ended"),
        )
        queued, delayed, running, dead, *deliveries = depths
        return Counts(
            is_closed=bool(closed),
            queued=queued,
            delayed=delayed,
            running=running,
            dead=dead,
            deliveries=sum(deliveries),
            backlog_bytes=int(size or 0),
            oldest_age_s=max(0.0, self._scripts.now() - _score(first)) if first else 0.0,
            ended={state: int(count) for state, count in fields_of(ended).items()},
        )

    def publish(self, schema: ExtractionSchema) -> None:
        self._registry.publish(schema)

    def schema(self, ref: str) -> ExtractionSchema:
        return self._registry.schema(ref)

    def schemas(self) -> list[str]:
        return self._registry.schemas()

    def _expire(self, job_id: str, row: dict[str, bytes]) -> list[Bell]:
        job = job_of(job_id, row)
        return self._end(job, int(row["fence"]), "expired", events.overdue(job))

    def _bury(self, job_id: str, row: dict[str, bytes]) -> list[Bell]:
        job = job_of(job_id, row)
        return self._end(job, int(row["fence"]), "dead", events.vanished(job))

    def _end(self, job: Job, fence: int, outcome: str, reason: str) -> list[Bell]:
        try:
            outbox = self._fail(job, fence, outcome, 0.0, reason, ("", ""))
        except Lost:
            # Cancelled since it was taken: it has its end.
            return []
        return [delivery_bell(each) for each in outbox.deliveries]

    def _fail(
        self, job: Job, fence: int, verdict: str, delay_s: float, reason: str, evidence: tuple[str, str]
    ) -> Outcome:
        state: State = "expired" if verdict == "expired" else "dead"
        body = events.failed(job, state, reason, at=self._scripts.now())
        deliveries = keys.deliveries(job, fence=fence)
        answer = self._scripts.call(
            "fail", job.id, fence, verdict, delay_s, reason, *evidence, body, *_flat(deliveries)
        )
        ended = _settled(job.id, answer)
        if ended == state:
            return Outcome(state, tuple(deliveries))
        return Outcome("queued")


def _holder(worker: str) -> str:
    # Unique to the call: when its reply is lost and it is made again, the ledger knows its own claim.
    return f"{worker}:{uuid.uuid4().hex}"


def _claim_of(job_id: str, row: dict[str, bytes], order: Order) -> Claim:
    job = job_of(job_id, row)
    return Claim(
        job_id=job_id,
        fence=int(row["fence"]),
        attempt=job.attempts,
        is_suspect="suspect" in row,
        order=order.model_copy(update={"priority": job.priority}),
        deadline=job.deadline,
        accepted_at=job.accepted_at,
    )


def _settled(row_id: str, answer: list[bytes]) -> str:
    verdict, *state = (part.decode() for part in answer)
    if verdict == "lost":
        raise refusals.lost(row_id, state[0])
    return state[0] if verdict == "again" else verdict


def _flat(deliveries: dict[str, str]) -> Iterator[str]:
    return (part for delivery in deliveries.items() for part in delivery)


def _rows(answer: list[Any]) -> Iterator[tuple[str, dict[str, bytes]]]:
    return ((answer[i].decode(), fields_of(answer[i + 1])) for i in range(0, len(answer), 2))


def _bell(kind: str, row_id: str, priority: Any) -> Bell:
    return job_bell(row_id, priority) if kind == "job" else delivery_bell(row_id)


def _score(first: list[Any]) -> float:
    # RESP 3 answers pairs, RESP 2 a flat list.
    return float(first[0][1] if isinstance(first[0], (list, tuple)) else first[1])
