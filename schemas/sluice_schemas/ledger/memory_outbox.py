"""The outbox of the twin in memory: `deliveries.lua` and the scripts beside it say how and why."""

import hashlib
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from sluice_schemas.endpoint import Endpoint, EndpointStatus
from sluice_schemas.event import EventType, Notice
from sluice_schemas.ledger import refusals
from sluice_schemas.ledger.deliveries import Consignment, Delivery, DeliveryClaim, Receipt
from sluice_schemas.ledger.memory_rows import Turn
from sluice_schemas.ledger.records import Limits

BURST_S = 4.0


@dataclass(slots=True)
class Row:
    """One delivery."""

    id: str
    job_id: str
    endpoint: str
    body: bytes
    created_at: float
    turn: Turn
    reason: str = ""
    ended_at: float | None = None
    is_failed: bool = False

    def face(self) -> Delivery:
        waits = self.turn.place == "delayed"
        state: Literal["queued", "running", "failed"] = "running" if self.turn.place == "running" else "queued"
        return Delivery(
            id=self.id,
            job_id=self.job_id,
            endpoint=self.endpoint,
            state="failed" if self.is_failed else state,
            attempts=self.turn.attempts,
            created_at=self.created_at,
            due_at=self.turn.due_at if waits else None,
            failed_at=self.ended_at if self.is_failed else None,
            reason=self.reason,
            body=self.body,
        )


@dataclass(slots=True)
class Place:
    """An endpoint and how it is doing."""

    endpoint: Endpoint
    state: Literal["active", "paused", "disabled"] = "active"
    reason: str = ""
    served_at: float = 0.0
    posting: dict[str, float] = field(default_factory=dict)
    """Holder -> when its lease ends."""
    tokens: float | None = None
    tokens_at: float = 0.0
    failures: int = 0
    failing_since: float | None = None
    open_until: float | None = None
    delivered: int = 0
    failed: int = 0

    def wants(self, event: EventType, schema_ref: str) -> bool:
        schemas = self.endpoint.schemas
        named = not schemas or schema_ref in schemas or schema_ref.rpartition("@")[0] in schemas
        return event in self.endpoint.events and named

    def tokens_now(self, now: float) -> float:
        rate = self.endpoint.rate_per_s or math.inf
        most = max(1.0, rate * BURST_S)
        return min(most, most if self.tokens is None else self.tokens + (now - self.tokens_at) * rate)

    def room(self, waiting: int, now: float) -> int:
        if self.state != "active" or (self.open_until or 0.0) > now:
            return 0
        most = 1 if self.failures else self.endpoint.concurrency
        most -= len(self.posting)
        if self.endpoint.rate_per_s is not None:
            most = min(most, math.floor(self.tokens_now(now)))
        return max(0, min(most, math.ceil(waiting / self.endpoint.batch)))


class MemoryOutbox:
    """An `Outbox`, safe for many threads."""

    def __init__(self, clock: Callable[[], float], lock: threading.RLock, limits: Callable[[], Limits]) -> None:
        self._clock, self._lock, self._limits = clock, lock, limits
        self._rows: dict[str, Row] = {}
        self._places: dict[str, Place] = {}

    def add_endpoint(self, endpoint: Endpoint, *, replace: bool = False) -> None:
        with self._lock:
            known = self._places.get(endpoint.name)
            if known is not None and known.endpoint != endpoint and not replace:
                raise refusals.other_endpoint(endpoint.name)
            if known is None:
                self._places[endpoint.name] = Place(endpoint)
            else:
                known.endpoint = endpoint

    def endpoints(self) -> list[EndpointStatus]:
        with self._lock:
            return [self._status(name) for name in sorted(self._places)]

    def endpoint(self, name: str) -> EndpointStatus:
        with self._lock:
            self._place(name)
            return self._status(name)

    def pause_endpoint(self, name: str) -> None:
        with self._lock:
            self._place(name).state = "paused"

    def resume_endpoint(self, name: str) -> None:
        with self._lock:
            place = self._place(name)
            place.state, place.reason = "active", ""
            place.failures, place.failing_since, place.open_until = 0, None, None

    def remove_endpoint(self, name: str, *, force: bool = False) -> None:
        with self._lock:
            self._place(name)
            if (waiting := self.waiting(name)) and not force:
                raise refusals.deliveries_wait(name, waiting)
            del self._places[name]

    def claim_deliveries(self, worker: str) -> Consignment | None:
        with self._lock:
            now, limits = self._clock(), self._limits()
            for place in sorted(self._places.values(), key=lambda each: each.served_at):
                line = self._line(place.endpoint.name)
                if not place.room(len(line), now):
                    continue
                taken = line[: place.endpoint.batch]
                for row in taken:
                    row.turn.take(now + limits.lease_s)
                    row.turn.attempts += 1
                holder = f"{worker}:{id(taken)}:{taken[0].id}:{taken[0].turn.fence}"
                place.tokens, place.tokens_at = place.tokens_now(now) - 1, now
                place.posting[holder], place.served_at = now + limits.lease_s, now
                claims = [
                    DeliveryClaim(row.id, row.job_id, row.body, row.turn.attempts, row.turn.fence) for row in taken
                ]
                has_more = place.room(len(line) - len(taken), now) > 0
                return Consignment(place.endpoint, holder, tuple(claims), has_more)
            return None

    def settle_deliveries(
        self, consignment: Consignment, receipt: Receipt, *, delays_s: Sequence[float | None]
    ) -> tuple[str, ...]:
        with self._lock:
            name, lost, settled = consignment.endpoint.name, [], 0
            place = self._places.get(name)
            if place:
                place.posting.pop(consignment.holder, None)
            for claim, delay_s in zip(consignment.claims, delays_s, strict=True):
                row = self._rows.get(claim.id)
                if row is not None and row.turn.is_held(claim.fence):
                    self._settle(row, receipt, delay_s, claim.fence)
                    settled += 1
                elif row is None or row.turn.settled != (claim.fence, receipt.result):
                    lost.append(claim.id)
            if place and settled:
                self._judge(place, receipt)
            return tuple(lost)

    def failed_deliveries(self, *, since: float = 0.0, endpoint: str | None = None, limit: int = 100) -> list[Delivery]:
        with self._lock:
            failed = [row for row in self._rows.values() if row.is_failed and (row.ended_at or 0.0) >= since]
            latest = sorted(failed, key=lambda row: -(row.ended_at or 0.0))
            return [row.face() for row in latest if endpoint in (None, row.endpoint)][:limit]

    def delivery(self, delivery_id: str) -> Delivery:
        with self._lock:
            row = self._rows.get(delivery_id)
            if row is None or (row.turn.place == "over" and not row.is_failed):
                raise refusals.no_delivery(delivery_id)
            return row.face()

    def replay_delivery(self, delivery_id: str) -> None:
        with self._lock:
            row = self._rows.get(delivery_id)
            if row is None or not row.is_failed:
                raise refusals.not_failed(delivery_id)
            if self._place(row.endpoint).state == "disabled":
                raise refusals.disabled(row.endpoint)
            row.is_failed, row.ended_at, row.turn.attempts = False, None, 0
            row.turn.ring()

    # For the ledger that this is the outbox of.

    def post(
        self, deliveries: Iterable[tuple[str, str]], *, job_id: str, schema_ref: str, event: EventType, body: bytes
    ) -> int:
        """Puts a delivery in for each (id, endpoint) that wants it; how many should be rung for."""
        rings = 0
        for delivery_id, name in deliveries:
            place = self._places.get(name)
            if place is None or place.wants(event, schema_ref):
                rings += self._put(delivery_id, name, job_id, body)
        return rings

    def waiting(self, name: str) -> int:
        """How many deliveries of an endpoint have not ended."""
        return sum(row.endpoint == name and row.ended_at is None for row in self._rows.values())

    def is_known(self, name: str) -> bool:
        return name in self._places

    def depth(self) -> int:
        return sum(row.ended_at is None for row in self._rows.values())

    def turns(self) -> list[Turn]:
        return [row.turn for row in self._rows.values()]

    def sweep(self, now: float, *, waiting: int, limit: int) -> int:
        """Sets right what crashed and what is due; how many bells to ring."""
        for row in self._rows.values():
            if (row.turn.place == "running" and row.turn.lease_ends <= now) or row.turn.is_delay_over(now):
                row.turn.ring()
        for row in [row for row in self._rows.values() if row.turn.place == "queued"]:
            if reason := self._why_not(row.endpoint):
                self._end(row, reason)
        posts = 0
        for name, place in self._places.items():
            place.posting = {holder: ends for holder, ends in place.posting.items() if ends > now}
            posts += place.room(len(self._line(name)), now)
        return max(0, min(posts, limit) - waiting)

    def forget(self, now: float) -> None:
        for row in [*self._rows.values()]:
            if row.ended_at is not None and row.ended_at + self._limits().retention_s <= now:
                del self._rows[row.id]

    def _put(self, delivery_id: str, name: str, job_id: str, body: bytes) -> int:
        now = self._clock()
        row = Row(delivery_id, job_id, name, body, now, Turn())
        self._rows[delivery_id] = row
        if reason := self._why_not(name):
            self._end(row, reason)
            return 0
        return 1

    def _why_not(self, name: str) -> str | None:
        place = self._places.get(name)
        if place is None:
            return f"No endpoint is registered as {name} any more."
        return f"The endpoint is disabled: {place.reason}" if place.state == "disabled" else None

    def _settle(self, row: Row, receipt: Receipt, delay_s: float | None, fence: int) -> None:
        row.turn.settle(fence, receipt.result)
        now = self._clock()
        if receipt.result == "delivered":
            row.turn.place, row.body, row.ended_at = "over", b"", now
            if row.endpoint in self._places:
                self._places[row.endpoint].delivered += 1
        elif receipt.result == "released":
            row.turn.attempts -= 1
            row.turn.ring()
        elif receipt.result == "gone" or delay_s is None:
            self._end(row, receipt.reason)
        else:
            row.reason = receipt.reason
            row.turn.delay(now + delay_s)

    def _end(self, row: Row, reason: str) -> None:
        row.turn.place, row.reason, row.ended_at, row.is_failed = "over", reason, self._clock(), True
        if row.endpoint in self._places:
            self._places[row.endpoint].failed += 1

    def _judge(self, place: Place, receipt: Receipt) -> None:
        now, limits = self._clock(), self._limits()
        if receipt.result == "delivered":
            place.failures, place.failing_since, place.open_until = 0, None, None
        elif receipt.result == "gone":
            self._disable(place, receipt.reason)
        elif receipt.result == "refused":
            place.failures, place.reason = place.failures + 1, receipt.reason
            place.failing_since = now if place.failing_since is None else place.failing_since
            over = place.failures - limits.breaker_failures
            open_s = 0.0 if over < 0 else min(limits.breaker_most_s, limits.breaker_s * 2.0 ** min(over, 20))
            place.open_until = now + max(open_s, receipt.wait_s)
            failing_s = now - place.failing_since
            if failing_s >= limits.disable_after_s and place.state == "active":
                why = f"Nothing was taken for {failing_s / 3600:.0f} hours. The last answer: {receipt.reason}"
                self._disable(place, why)

    def _disable(self, place: Place, why: str) -> None:
        place.state, place.reason = "disabled", why
        name, at = place.endpoint.name, datetime.fromtimestamp(self._clock(), UTC).isoformat()
        body = Notice(type="endpoint.disabled", timestamp=at, endpoint=name, reason=why).encode()
        for other, each in self._places.items():
            if other != name and each.wants("endpoint.disabled", ""):
                digest = hashlib.sha1(f"{name}{at}{other}".encode(), usedforsecurity=False).hexdigest()
                self._put(f"msg_{digest[:32]}", other, "", body)

    def _line(self, name: str) -> list[Row]:
        line = [row for row in self._rows.values() if row.endpoint == name and row.turn.place == "queued"]
        return sorted(line, key=lambda row: (row.created_at, row.id))

    def _place(self, name: str) -> Place:
        if name not in self._places:
            raise refusals.no_endpoint(name)
        return self._places[name]

    def _status(self, name: str) -> EndpointStatus:
        place = self._places[name]
        return EndpointStatus(
            endpoint=place.endpoint,
            state=place.state,
            reason=place.reason,
            waiting=self.waiting(name),
            delivered=place.delivered,
            failed=place.failed,
            failures=place.failures,
            failing_since=place.failing_since,
            open_until=place.open_until,
        )
