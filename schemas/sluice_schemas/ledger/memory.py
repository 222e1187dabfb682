"""The ledger's twin in memory, with both faces: for tests and for trying things out. It ends with its process."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

from sluice_schemas.document import Document
from sluice_schemas.errors import Lost
from sluice_schemas.event import EventType
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order, State
from sluice_schemas.ledger import events, keys, refusals
from sluice_schemas.ledger.memory_lines import Lines
from sluice_schemas.ledger.memory_outbox import MemoryOutbox
from sluice_schemas.ledger.memory_rows import JobRow, Turn
from sluice_schemas.ledger.packing import pack
from sluice_schemas.ledger.records import Claim, Counts, DeadLetter, Limits, Outcome, Swept, Verdict
from sluice_schemas.ledger.registry import refuse_other, unknown_schema
from sluice_schemas.queues import DELIVERY_BELL, JOB_BELL
from sluice_schemas.schema import ExtractionSchema

RETENTION_MARGIN_S = 3600.0


class MemoryLedger:
    """A `ProducerLedger` and a `WorkerLedger`, safe for many threads, and its `outbox`.

    A test may turn the `clock` (Unix seconds).
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._limits = Limits()
        self._lock = threading.RLock()
        self._jobs: dict[str, JobRow] = {}
        self._ids: dict[str, str] = {}
        self.outbox = MemoryOutbox(clock, self._lock, lambda: self._limits)
        self._schemas: dict[str, ExtractionSchema] = {}
        self._ended: Counter[str] = Counter()
        self._lines = Lines()
        self._swept_at = float("-inf")
        self._is_closed = False

    def set_limits(self, limits: Limits) -> None:
        self._limits = limits

    def close_intake(self) -> None:
        self._is_closed = True

    def open_intake(self) -> None:
        self._is_closed = False

    def publish(self, schema: ExtractionSchema) -> None:
        refuse_other(schema, self._schemas.setdefault(schema.ref, schema))

    def schema(self, ref: str) -> ExtractionSchema:
        if ref not in self._schemas:
            raise unknown_schema(ref)
        return self._schemas[ref]

    def schemas(self) -> list[str]:
        return sorted(self._schemas)

    def accept(self, order: Order) -> Job:
        digest, fingerprint, body = keys.key_digest(order), keys.fingerprint(order), order.encode()
        with self._lock:
            self._forget()
            if digest in self._ids:
                known = self._jobs[self._ids[digest]]
                if known.fingerprint != fingerprint:
                    raise refusals.other_content(order, known.id)
                return known.face()
            if self._is_closed:
                raise refusals.closed()
            size, now = len(pack(body)), self._clock()
            self._refuse_over_limit(order, size, now)
            row = JobRow(keys.new_job_id(), order, digest, fingerprint, size, len(body), now, Turn())
            row.deadline = None if order.timeout_s is None else now + order.timeout_s
            self._jobs[row.id], self._ids[digest] = row, row.id
            self._line_up(row)
            return row.face()

    def job(self, job_id: str) -> Job:
        with self._lock:
            return self._job(job_id).face()

    def result(self, job_id: str) -> Extraction | None:
        with self._lock:
            row = self._job(job_id)
            if row.state != "succeeded":
                return None
            if row.result is None or (row.ended_at or 0) + self._limits.retention_s <= self._clock():
                raise refusals.no_result(job_id)
            return row.result

    def document(self, job_id: str) -> Document | None:
        with self._lock:
            row = self._job(job_id)
            return row.order.document if self._has_document(row) else None

    def cancel(self, job_id: str) -> Job:
        with self._lock:
            row = self._job(job_id)
            if not row.has_ended:
                self._finish(row, "cancelled", "Cancelled by its caller.")
            return row.face()

    def claim(self, worker: str) -> Claim | None:
        with self._lock:
            now = self._clock()
            while row := self._lines.next(self._limits):
                row.turn.take(now + self._limits.lease_s)
                if row.is_overdue(now):
                    self._end(row, "expired", events.overdue(row.face()))
                    continue
                row.turn.attempts += 1
                return Claim(
                    job_id=row.id,
                    fence=row.turn.fence,
                    attempt=row.turn.attempts,
                    is_suspect=row.is_suspect,
                    order=row.order,
                    deadline=row.deadline,
                    time_left_s=None if row.deadline is None else row.deadline - now,
                    accepted_at=row.accepted_at,
                )
            return None

    def renew(self, claims: Sequence[Claim]) -> dict[str, str]:
        with self._lock:
            return {claim.job_id: why for claim in claims if (why := self._renew(claim))}

    def commit(self, claim: Claim, extraction: Extraction) -> int:
        with self._lock:
            if self._settled(claim, "commit"):
                return 0
            row = self._held(claim)
            row.result = extraction
            self._finish(row, "succeeded", None)
            body = events.completed(claim.job, extraction, at=self._clock()).encode()
            row.turn.settle(claim.fence, "commit", Outcome("succeeded"))
            return self._post(claim.job, "extraction.completed", body)

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
        with self._lock:
            if again := self._settled(claim, "fail"):
                return again
            row = self._held(claim)
            row.reason, row.traceback, row.raw = reason, events.evidence(traceback), events.evidence(raw)
            row.is_suspect = row.is_suspect or verdict == "suspect"
            if verdict == "dead" or row.turn.attempts >= self._limits.max_tries:
                return self._end(row, "dead", reason)
            if retry_delay_s > 0:
                row.turn.delay(self._clock() + retry_delay_s)
            else:
                self._line_up(row)
            return row.turn.settle(claim.fence, "fail")

    def release(self, claim: Claim) -> None:
        with self._lock:
            if self._settled(claim, "release"):
                return
            row = self._held(claim)
            row.turn.attempts -= 1
            self._line_up(row)
            row.turn.settle(claim.fence, "release")

    def sweep(self, *, waiting: int = 0, waiting_deliveries: int = 0, limit: int = 100) -> Swept:
        with self._lock:
            now = self._clock()
            if now < self._swept_at + self._limits.sweep_s:
                return Swept()
            if now - self._swept_at > self._limits.lease_s and self._swept_at > 0:
                self._prolong(now)
            self._swept_at = now
            self._forget()
            overdue = [*islice((row for row in self._jobs.values() if row.is_overdue(now)), limit)]
            for row in overdue:
                self._take_and_end(row, "expired", events.overdue(row.face()))
            stale = [*islice((row for row in self._jobs.values() if self._is_stale(row.turn, now)), limit)]
            spent = [row for row in stale if row.turn.attempts >= self._limits.max_tries]
            for row in spent:
                self._take_and_end(row, "dead", events.vanished(row.face()))
            for row in stale:
                if not row.has_ended:
                    row.is_suspect = True
                    self._line_up(row)
            for row in [*islice((row for row in self._jobs.values() if row.turn.is_delay_over(now)), limit)]:
                self._line_up(row)
            lost = max(0, min(sum(self._lines.lengths().values()), limit) - waiting)
            rings = self.outbox.sweep(now, waiting=waiting_deliveries, limit=limit)
            return Swept(
                doorbells=(*[JOB_BELL] * lost, *[DELIVERY_BELL] * rings),
                expired=tuple(row.id for row in overdue),
                buried=tuple(row.id for row in spent),
                taken_back=len(stale) - len(spent),
            )

    def dead_letters(self, limit: int = 100) -> list[Job]:
        with self._lock:
            self._forget()
            dead = [row for row in self._jobs.values() if row.is_dead_letter]
            return [row.face() for row in sorted(dead, key=lambda row: -(row.ended_at or 0))[:limit]]

    def dead_letter(self, job_id: str) -> DeadLetter:
        with self._lock:
            row = self._dead(job_id)
            return DeadLetter(row.face(), row.traceback, row.raw)

    def replay(self, job_id: str) -> Job:
        with self._lock:
            row = self._dead(job_id)
            row.order = row.order.model_copy(update={"priority": "replay"})
            row.state, row.ended_at, row.deadline, row.start, row.turn.attempts = "", None, None, None, 0
            self._line_up(row)
            return row.face()

    def drop(self, job_id: str) -> None:
        with self._lock:
            row = self._dead(job_id)
            row.is_dropped, row.traceback, row.raw = True, "", ""

    def counts(self) -> Counts:
        with self._lock:
            self._forget()
            places = Counter(row.turn.place for row in self._jobs.values())
            backlog = [row for row in self._jobs.values() if not row.has_ended]
            return Counts(
                is_closed=self._is_closed,
                waiting=self._lines.lengths(),
                delayed=places["delayed"],
                running=places["running"],
                dead=sum(row.is_dead_letter for row in self._jobs.values()),
                deliveries=self.outbox.depth(),
                backlog_bytes=sum(row.size for row in backlog),
                oldest_age_s=max((self._clock() - row.accepted_at for row in backlog), default=0.0),
                ended=dict(self._ended),
            )

    def _job(self, job_id: str) -> JobRow:
        self._forget()
        if job_id not in self._jobs:
            raise refusals.no_job(job_id)
        return self._jobs[job_id]

    def _has_document(self, row: JobRow) -> bool:
        if row.state == "succeeded":
            return row.order.reviewable and (row.ended_at or 0) + self._limits.retention_s > self._clock()
        return not row.has_ended or row.is_dead_letter

    def _dead(self, job_id: str) -> JobRow:
        self._forget()
        row = self._jobs.get(job_id)
        if row is None or not row.is_dead_letter:
            raise refusals.not_dead(job_id)
        return row

    def _held(self, claim: Claim) -> JobRow:
        row = self._jobs.get(claim.job_id)
        if row is None or not row.turn.is_held(claim.fence):
            raise refusals.lost(claim.job_id, row.face().state if row else "unknown")
        return row

    def _settled(self, claim: Claim, verb: str) -> Outcome | None:
        # Asked a second time by the same claim: the answer is the first one, and nothing changes.
        row = self._jobs.get(claim.job_id)
        is_again = row is not None and not row.turn.is_held(claim.fence) and row.turn.settled == (claim.fence, verb)
        return row.turn.settled_as if row and is_again else None

    def _renew(self, claim: Claim) -> str | None:
        now = self._clock()
        try:
            row = self._held(claim)
        except Lost:
            ended = self._jobs.get(claim.job_id)
            return ended.state if ended and ended.has_ended else "lost"
        if row.is_overdue(now):
            return "expired"
        row.turn.lease_ends = now + self._limits.lease_s
        return None

    def _line_up(self, row: JobRow) -> None:
        row.turn.ring()
        self._lines.add(row)

    def _refuse_over_limit(self, order: Order, size: int, now: float) -> None:
        backlog = [row for row in self._jobs.values() if not row.has_ended]
        for name in order.endpoints:
            if not self.outbox.is_known(name):
                raise refusals.no_endpoint(name)
        size_bytes = sum(row.size for row in backlog)
        deliveries = max(map(self.outbox.waiting, order.endpoints), default=0)
        reached = {
            "max_jobs": len(backlog) >= self._limits.max_jobs,
            "max_bytes": size_bytes + size > self._limits.max_bytes,
            "max_deliveries": deliveries >= self._limits.max_deliveries,
        }
        if limit := next((name for name, is_reached in reached.items() if is_reached), None):
            age_s = max((now - row.accepted_at for row in backlog), default=0.0)
            raise refusals.backlog(
                limit, jobs=len(backlog), size_bytes=size_bytes, deliveries=deliveries, oldest_age_s=age_s
            )

    def _finish(self, row: JobRow, state: State, reason: str | None) -> None:
        self._lines.remove(row)
        row.state, row.reason, row.ended_at, row.turn.place = state, reason, self._clock(), "over"
        self._ended[state] += 1

    def _end(self, row: JobRow, state: State, reason: str) -> Outcome:
        job = row.face()
        body = events.failed(job, state, reason, at=self._clock()).encode()
        self._finish(row, state, reason)
        row.turn.settle(row.turn.fence, "fail", Outcome(state))
        return Outcome(state, self._post(job, "extraction.failed", body))

    def _take_and_end(self, row: JobRow, state: State, reason: str) -> None:
        # A new fence, so that the worker that may still run it has lost it.
        self._lines.remove(row)
        row.turn.take(self._clock())
        self._end(row, state, reason)

    def _post(self, job: Job, event: EventType, body: bytes) -> int:
        deliveries = keys.deliveries(job).items()
        return self.outbox.post(deliveries, job_id=job.id, schema_ref=job.schema_ref, event=event, body=body)

    def _prolong(self, now: float) -> None:
        # Nobody swept for so long, so perhaps nobody could renew either.
        for turn in [row.turn for row in self._jobs.values()] + self.outbox.turns():
            if self._is_stale(turn, now):
                turn.lease_ends = now + self._limits.lease_s / 2

    def _is_stale(self, turn: Turn, now: float) -> bool:
        return turn.place == "running" and turn.lease_ends <= now

    def _forget(self) -> None:
        now, kept_s = self._clock(), self._limits.retention_s
        for row in [*self._jobs.values()]:
            if row.ended_at is not None and row.ended_at + kept_s + RETENTION_MARGIN_S <= now:
                del self._jobs[row.id], self._ids[row.key]
        self.outbox.forget(now)
