"""The worker's face of the ledger in Redis: claim, settle, sweep."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, get_args

from redis import Redis

from sluice_schemas.errors import BadInput, Lost
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order, Priority, State
from sluice_schemas.ledger import (
    Claim,
    Counts,
    DeadLetter,
    Limits,
    Outcome,
    Scripts,
    Swept,
    Verdict,
    events,
    keys,
    refusals,
)
from sluice_schemas.ledger.packing import unpack
from sluice_schemas.ledger.registry import RedisRegistry
from sluice_schemas.ledger.scripts import fields_of, job_of
from sluice_schemas.queues import DELIVERY_BELL, JOB_BELL
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

    def claim(self, worker: str) -> Claim | None:
        while True:
            verdict, *rest = self._scripts.call("claim", holder(worker))
            if verdict == b"none":
                return None
            job_id, row = rest[0].decode(), fields_of(rest[1])
            if verdict == b"overdue":
                self._expire(job_id, row)
                continue
            try:
                return _claim_of(job_id, row, Order.decode(unpack(rest[2] or b"")), now=float(rest[3]))
            except BadInput as damaged:
                self._bury_damaged(job_id, row, str(damaged))

    def renew(self, claims: Sequence[Claim]) -> dict[str, str]:
        gone = self._scripts.call("renew", *(part for claim in claims for part in (claim.job_id, claim.fence)))
        return {job_id.decode(): why.decode() for job_id, why in zip(gone[::2], gone[1::2], strict=True)}

    def commit(self, claim: Claim, extraction: Extraction) -> int:
        deliveries = keys.deliveries(claim.job)
        body = events.completed(claim.job, extraction, at=self._scripts.now()).encode() if deliveries else b""
        answer = self._scripts.call("commit", claim.job_id, claim.fence, extraction.encode(), body, *_flat(deliveries))
        return _settled(claim.job_id, answer)[1]

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
        return self._fail(claim.job, verdict, retry_delay_s, reason, evidence)

    def release(self, claim: Claim) -> None:
        _settled(claim.job_id, self._scripts.call("release", claim.job_id, claim.fence))

    def sweep(self, *, waiting: int = 0, waiting_deliveries: int = 0, limit: int = 100) -> Swept:
        answer = self._scripts.call("sweep", limit, holder("sweeper"), waiting, waiting_deliveries)
        taken_back, jobs, deliveries, overdue, spent = answer
        expired, buried = [], []
        for job_id, row in _rows(overdue):
            self._expire(job_id, row)
            expired.append(job_id)
        for job_id, row in _rows(spent):
            self._bury(job_id, row)
            buried.append(job_id)
        return Swept((JOB_BELL,) * jobs + (DELIVERY_BELL,) * deliveries, tuple(expired), tuple(buried), taken_back)

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
        lines = get_args(Priority)
        sets = ("delayed:job", "running:job", "dead")
        *depths, outbox, closed, size, first, ended = self._scripts.pipeline(
            *(("ZCARD", name) for name in (*(f"line:{each}" for each in lines), *sets)),
            ("HVALS", "outbox"),
            ("EXISTS", "closed"),
            ("GET", "bytes"),
            ("ZRANGE", "open", 0, 0, "WITHSCORES"),
            ("HGETALL", "ended"),
        )
        waiting, (delayed, running, dead) = depths[: len(lines)], depths[len(lines) :]
        return Counts(
            is_closed=bool(closed),
            waiting=dict(zip(lines, waiting, strict=True)),
            delayed=delayed,
            running=running,
            dead=dead,
            deliveries=sum(map(int, outbox)),
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

    # Whoever ends a job here rings for nobody: the next sweep does.

    def _expire(self, job_id: str, row: dict[str, bytes]) -> None:
        try:
            job = job_of(job_id, row)
        except BadInput as damaged:
            self._bury_damaged(job_id, row, str(damaged))
        else:
            self._end(job, "expired", events.overdue(job))

    def _bury(self, job_id: str, row: dict[str, bytes]) -> None:
        try:
            job = job_of(job_id, row)
        except BadInput as damaged:
            self._bury_damaged(job_id, row, str(damaged))
        else:
            self._end(job, "dead", events.vanished(job))

    def _bury_damaged(self, job_id: str, row: dict[str, bytes], reason: str) -> None:
        """Ends a job whose document or row cannot be read; who cannot be named gets no webhook."""
        try:
            self._end(job_of(job_id, row), "dead", reason)
        except BadInput:
            self._scripts.call("fail", job_id, row.get("fence", b"0"), "dead", 0.0, reason, "", "", b"")

    def _end(self, job: Job, outcome: str, reason: str) -> None:
        # Lost: cancelled since it was taken, it has its end.
        with suppress(Lost):
            self._fail(job, outcome, 0.0, reason, ("", ""))

    def _fail(self, job: Job, verdict: str, delay_s: float, reason: str, evidence: tuple[str, str]) -> Outcome:
        state: State = "expired" if verdict == "expired" else "dead"
        body = events.failed(job, state, reason, at=self._scripts.now()).encode()
        deliveries = keys.deliveries(job)
        answer = self._scripts.call(
            "fail", job.id, job.fence, verdict, delay_s, reason, *evidence, body, *_flat(deliveries)
        )
        ended, rings = _settled(job.id, answer)
        return Outcome(state, rings) if ended == state else Outcome("queued")


def holder(worker: str) -> str:
    """Unique to the call: when its reply is lost and it is made again, the ledger knows its own claim."""
    return f"{worker}:{uuid.uuid4().hex}"


def _claim_of(job_id: str, row: dict[str, bytes], order: Order, *, now: float) -> Claim:
    job = job_of(job_id, row)
    return Claim(
        job_id=job_id,
        fence=int(row["fence"]),
        attempt=job.attempts,
        is_suspect="suspect" in row,
        order=order.model_copy(update={"priority": job.priority}),
        deadline=job.deadline,
        time_left_s=None if job.deadline is None else job.deadline - now,
        accepted_at=job.accepted_at,
    )


def _settled(row_id: str, answer: list[Any]) -> tuple[str, int]:
    """The state, and how many deliveries to ring for: none when the answer is heard a second time."""
    verdict, *rest = answer
    if verdict == b"lost":
        raise refusals.lost(row_id, rest[0].decode())
    if verdict == b"again":
        return rest[0].decode(), 0
    return verdict.decode(), rest[0] if rest else 0


def _flat(deliveries: dict[str, str]) -> Iterator[str]:
    return (part for delivery in deliveries.items() for part in delivery)


def _rows(answer: list[Any]) -> Iterator[tuple[str, dict[str, bytes]]]:
    return ((answer[i].decode(), fields_of(answer[i + 1])) for i in range(0, len(answer), 2))


def _score(first: list[Any]) -> float:
    # RESP 3 answers pairs, RESP 2 a flat list.
    return float(first[0][1] if isinstance(first[0], (list, tuple)) else first[1])
