"""The ledger's twin in memory, with both faces: for tests and for trying things out. It ends with its process."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

from sluice_schemas.errors import Lost
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order, State
from sluice_schemas.ledger import events, keys, refusals
from sluice_schemas.ledger.memory_rows import DeliveryRow, JobRow, Turn
from sluice_schemas.ledger.records import Claim, Counts, DeadLetter, DeliveryClaim, Limits, Outcome, Swept, Verdict
from sluice_schemas.ledger.registry import refuse_other, unknown_schema
from sluice_schemas.queues import Bell, delivery_bell, job_bell
from sluice_schemas.schema import ExtractionSchema

RETENTION_MARGIN_S = 3600.0


class MemoryLedger:
    """A `ProducerLedger` and a `WorkerLedger`, safe for many threads. A test may turn the `clock` (Unix seconds)."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._limits = Limits()
        self._lock = threading.RLock()
        self._jobs: dict[str, JobRow] = {}
        self._ids: dict[str, str] = {}
        self._outbox: dict[str, DeliveryRow] = {}
        self._schemas: dict[str, ExtractionSchema] = {}
        self._ended: Counter[str] = Counter()
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
        digest, fingerprint, size = keys.key_digest(order), keys.fingerprint(order), len(order.encode())
        with self._lock:
            self._forget()
            if digest in self._ids:
                known = self._jobs[self._ids[digest]]
                if known.fingerprint != fingerprint:
                    raise refusals.other_content(order, known.id)
                return known.face()
            if self._is_closed:
                raise refusals.closed()
            backlog = [row.size for row in self._jobs.values() if not row.has_ended]
            if len(backlog) >= self._limits.max_jobs or sum(backlog) + size > self._limits.max_bytes:
                raise refusals.backlog(len(backlog), sum(backlog))
            now = self._clock()
            row = JobRow(keys.new_job_id(), order, digest, fingerprint, size, now, Turn(now))
            row.deadline = None if order.timeout_s is None else now + order.timeout_s
            self._jobs[row.id], self._ids[digest] = row, row.id
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

    def cancel(self, job_id: str) -> Job:
        with self._lock:
            row = self._job(job_id)
            if not row.has_ended:
                self._finish(row, "cancelled", "Cancelled by its caller.")
            return row.face()

    def claim(self, job_id: str, worker: str) -> Claim | None:
        with self._lock:
            now, row = self._clock(), self._jobs.get(job_id)
            if row is None or not row.turn.is_claimable(now):
                return None
            row.turn.take(now + self._limits.lease_s)
            if row.is_overdue(now):
                self._end(row, "expired", events.overdue(row.face()))
                return None
            row.turn.attempts += 1
            return Claim(
                job_id=job_id,
                fence=row.turn.fence,
                attempt=row.turn.attempts,
                is_suspect=row.is_suspect,
                order=row.order,
                deadline=row.deadline,
                accepted_at=row.accepted_at,
            )

    def renew(self, claims: Sequence[Claim]) -> dict[str, str]:
        with self._lock:
            return {claim.job_id: why for claim in claims if (why := self._renew(claim))}

    def commit(self, claim: Claim, extraction: Extraction) -> tuple[str, ...]:
        with self._lock:
            if again := self._settled(claim, "commit"):
                return again.deliveries
            row = self._held(claim)
            row.result = extraction
            self._finish(row, "succeeded", None)
            body = events.completed(claim.job, extraction, at=self._clock())
            deliveries = self._post(claim.job, claim.fence, body)
            return row.turn.settle(claim.fence, "commit", Outcome("succeeded", deliveries)).deliveries

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
                return row.turn.settle(claim.fence, "fail", self._end(row, "dead", reason))
            row.turn.delay(self._clock() + retry_delay_s)
            return row.turn.settle(claim.fence, "fail")

    def release(self, claim: Claim) -> None:
        with self._lock:
            if self._settled(claim, "release"):
                return
            row = self._held(claim)
            row.turn.attempts -= 1
            row.turn.delay(self._clock())
            row.turn.settle(claim.fence, "release")

    def sweep(self, limit: int = 100) -> Swept:
        with self._lock:
            now = self._clock()
            if now < self._swept_at + self._limits.sweep_s:
                return Swept()
            self._swept_at = now
            self._forget()
            overdue = [*islice((row for row in self._jobs.values() if row.is_overdue(now)), limit)]
            bells = [bell for row in overdue for bell in self._take_and_end(row, "expired", events.overdue(row.face()))]
            stale = [*islice((row for row in self._jobs.values() if self._is_stale(row.turn, now)), limit)]
            spent = [row for row in stale if row.turn.attempts >= self._limits.max_tries]
            bells += [bell for row in spent for bell in self._take_and_end(row, "dead", events.vanished(row.face()))]
            for row in stale:
                row.is_suspect = True
            rung = self._ring_jobs(now, limit)
            bells += [*rung, *self._ring_deliveries(now, limit - len(rung))]
            return Swept(
                doorbells=tuple(bells),
                expired=tuple(row.id for row in overdue),
                buried=tuple(row.id for row in spent),
                taken_back=len(stale) - len(spent),
            )

    def claim_delivery(self, delivery_id: str, worker: str) -> DeliveryClaim | None:
        with self._lock:
            now, row = self._clock(), self._outbox.get(delivery_id)
            if row is None or not row.turn.is_claimable(now):
                return None
            row.turn.take(now + self._limits.lease_s)
            row.turn.attempts += 1
            return DeliveryClaim(row.id, row.job_id, row.endpoint, row.body, row.turn.attempts, row.turn.fence)

    def delivered(self, claim: DeliveryClaim) -> None:
        with self._lock:
            if row := self._held_delivery(claim, "delivered"):
                row.turn.place, row.body, row.ended_at = "over", b"", self._clock()

    def retry_delivery(self, claim: DeliveryClaim, reason: str, *, delay_s: float, final: bool) -> None:
        with self._lock:
            row = self._held_delivery(claim, "failed" if final else "retry")
            if row is None:
                return
            row.reason = reason
            if final:
                row.turn.place, row.ended_at = "over", self._clock()
            else:
                row.turn.delay(self._clock() + delay_s)

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
            row.state, row.ended_at, row.deadline, row.turn.attempts = "", None, None, 0
            row.turn.ring(self._clock())
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
                queued=places["queued"],
                delayed=places["delayed"],
                running=places["running"],
                dead=sum(row.is_dead_letter for row in self._jobs.values()),
                deliveries=sum(row.ended_at is None for row in self._outbox.values()),
                backlog_bytes=sum(row.size for row in backlog),
                oldest_age_s=max((self._clock() - row.accepted_at for row in backlog), default=0.0),
                ended=dict(self._ended),
            )

    def _job(self, job_id: str) -> JobRow:
        self._forget()
        if job_id not in self._jobs:
            raise refusals.no_job(job_id)
        return self._jobs[job_id]

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

    def _held_delivery(self, claim: DeliveryClaim, verb: str) -> DeliveryRow | None:
        row = self._outbox.get(claim.id)
        if row is not None and row.turn.is_held(claim.fence):
            row.turn.settle(claim.fence, verb)
            return row
        if row is not None and row.turn.settled == (claim.fence, verb):
            return None
        raise refusals.lost(claim.id, row.turn.place if row else "unknown")

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

    def _finish(self, row: JobRow, state: State, reason: str | None) -> None:
        row.state, row.reason, row.ended_at, row.turn.place = state, reason, self._clock(), "over"
        self._ended[state] += 1

    def _end(self, row: JobRow, state: State, reason: str) -> Outcome:
        job = row.face()
        body = events.failed(job, state, reason, at=self._clock())
        self._finish(row, state, reason)
        return Outcome(state, self._post(job, row.turn.fence, body))

    def _take_and_end(self, row: JobRow, state: State, reason: str) -> list[Bell]:
        # A new fence, so that the worker that may still run it has lost it.
        row.turn.take(self._clock())
        return [delivery_bell(each) for each in self._end(row, state, reason).deliveries]

    def _post(self, job: Job, fence: int, body: bytes) -> tuple[str, ...]:
        deliveries = keys.deliveries(job, fence=fence)
        for delivery_id, endpoint in deliveries.items():
            self._outbox[delivery_id] = DeliveryRow(delivery_id, job.id, endpoint, body, Turn(self._clock()))
        return tuple(deliveries)

    def _is_stale(self, turn: Turn, now: float) -> bool:
        return turn.place == "running" and turn.lease_ends <= now

    def _ring_jobs(self, now: float, limit: int) -> list[Bell]:
        due = self._due([(row.turn, row.id) for row in self._jobs.values()], now, limit)
        return [job_bell(each, self._jobs[each].order.priority) for each in due]

    def _ring_deliveries(self, now: float, limit: int) -> list[Bell]:
        return [delivery_bell(each) for each in self._due([(r.turn, r.id) for r in self._outbox.values()], now, limit)]

    def _due(self, turns: list[tuple[Turn, str]], now: float, limit: int) -> list[str]:
        queued = sum(turn.place == "queued" for turn, _ in turns)
        patience_s = self._limits.ring_after_s * (1 + queued / 1000)
        due = [each for each in turns if self._is_stale(each[0], now) or each[0].is_due(now, patience_s=patience_s)]
        due = sorted(due, key=lambda each: each[0].rung_at)[:limit]
        for turn, _ in due:
            turn.ring(now)
        return [row_id for _, row_id in due]

    def _forget(self) -> None:
        now, kept_s = self._clock(), self._limits.retention_s
        for row in [*self._jobs.values()]:
            if row.ended_at is not None and row.ended_at + kept_s + RETENTION_MARGIN_S <= now:
                del self._jobs[row.id], self._ids[row.key]
        for each in [*self._outbox.values()]:
            if each.ended_at is not None and each.ended_at + kept_s <= now:
                del self._outbox[each.id]
