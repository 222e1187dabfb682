"""The outbox in Redis: endpoints, and the webhooks that wait for them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from redis import Redis

from sluice_schemas.endpoint import Endpoint, EndpointStatus
from sluice_schemas.errors import BadInput
from sluice_schemas.ledger import Consignment, Delivery, DeliveryClaim, Receipt, Scripts, refusals
from sluice_schemas.ledger.scripts import fields_of
from sluice_worker.ledger.redis_ledger import holder

FORGIVEN = ("state", "reason", "failures", "failing_since", "open_until")
LOOKS = 1000
"""How many failed deliveries are looked through at once."""


class RedisOutbox:
    """An `Outbox`; what each method promises stands there. A lost Redis is tried again for `retry_s` seconds."""

    def __init__(self, redis: Redis, *, retry_s: float = 5.0) -> None:
        self._scripts = Scripts(redis, retry_s=retry_s)

    def add_endpoint(self, endpoint: Endpoint, *, replace: bool = False) -> None:
        spec = endpoint.encode_whole()
        if replace:
            self._scripts.command("HSET", "endpoints", endpoint.name, spec)
            return
        is_new = self._scripts.command("HSETNX", "endpoints", endpoint.name, spec)
        if not is_new and self.endpoint(endpoint.name).endpoint != endpoint:
            raise refusals.other_endpoint(endpoint.name)

    def endpoints(self) -> list[EndpointStatus]:
        specs = fields_of(self._scripts.command("HGETALL", "endpoints"))
        return [self._status(name, specs[name]) for name in sorted(specs)]

    def endpoint(self, name: str) -> EndpointStatus:
        return self._status(name, self._spec(name))

    def pause_endpoint(self, name: str) -> None:
        self._spec(name)
        self._scripts.command("HSET", f"endpoint:{name}", "state", "paused")

    def resume_endpoint(self, name: str) -> None:
        self._spec(name)
        self._scripts.command("HDEL", f"endpoint:{name}", *FORGIVEN)

    def remove_endpoint(self, name: str, *, force: bool = False) -> None:
        waiting = self._scripts.call("remove_endpoint", name, int(force))
        if waiting < 0:
            raise refusals.no_endpoint(name)
        if waiting:
            raise refusals.deliveries_wait(name, waiting)

    def claim_deliveries(self, worker: str) -> Consignment | None:
        while True:
            by = holder(worker)
            answer = self._scripts.call("claim_deliveries", by)
            if not answer:
                return None
            endpoint, has_more = Endpoint.decode(answer[0]), bool(answer[1])
            claims = [self._claim_of(endpoint, by, *answer[i : i + 2]) for i in range(2, len(answer), 2)]
            if whole := tuple(each for each in claims if each is not None):
                return Consignment(endpoint, by, whole, has_more)
            self._settle(endpoint.name, by, Receipt("released"), [])

    def settle_deliveries(
        self, consignment: Consignment, receipt: Receipt, *, delays_s: Sequence[float | None]
    ) -> tuple[str, ...]:
        rows = [
            part
            for claim, delay_s in zip(consignment.claims, delays_s, strict=True)
            for part in (claim.id, claim.fence, -1 if delay_s is None else delay_s)
        ]
        return self._settle(consignment.endpoint.name, consignment.holder, receipt, rows)

    def failed_deliveries(self, *, since: float = 0.0, endpoint: str | None = None, limit: int = 100) -> list[Delivery]:
        found: list[Delivery] = []
        start = 0
        while len(found) < limit:
            names = self._scripts.command("ZREVRANGEBYSCORE", "failed", "+inf", since, "LIMIT", start, LOOKS)
            if not names:
                break
            start += len(names)
            ids = [each.decode() for each in names]
            rows = self._scripts.pipeline(*(("HGETALL", f"delivery:{each}") for each in ids))
            listed = [delivery_of(each, fields_of(row), None) for each, row in zip(ids, rows, strict=True) if row]
            found += [each for each in listed if endpoint in (None, each.endpoint)]
        return found[:limit]

    def delivery(self, delivery_id: str) -> Delivery:
        fields, due_at = self._scripts.pipeline(
            ("HGETALL", f"delivery:{delivery_id}"), ("ZSCORE", "delayed:delivery", delivery_id)
        )
        row = fields_of(fields)
        if not row or row.get("state") == b"delivered":
            raise refusals.no_delivery(delivery_id)
        return delivery_of(delivery_id, row, None if due_at is None else float(due_at))

    def replay_delivery(self, delivery_id: str) -> None:
        answer = self._scripts.call("replay_delivery", delivery_id)
        if answer == 0:
            raise refusals.not_failed(delivery_id)
        if isinstance(answer, list):
            why, name = (part.decode() for part in answer)
            raise refusals.disabled(name) if why == "disabled" else refusals.no_endpoint(name)

    def _claim_of(self, endpoint: Endpoint, by: str, name: bytes, fields: Any) -> DeliveryClaim | None:
        delivery_id, row = name.decode(), fields_of(fields)
        try:
            return DeliveryClaim(
                delivery_id, row["job_id"].decode(), row["body"], int(row["attempts"]), int(row["fence"])
            )
        except (KeyError, ValueError) as damaged:
            reason = f"The delivery's row cannot be read ({type(damaged).__name__}); it is given up."
            # Under no holder, and no word about the endpoint: the post goes on with the others.
            given_up = "damaged", 0, reason, "", delivery_id, row.get("fence", b"0"), -1
            self._scripts.call("settle_deliveries", endpoint.name, "", *given_up)
            return None

    def _settle(self, name: str, by: str, receipt: Receipt, rows: Sequence[str | float]) -> tuple[str, ...]:
        told = receipt.result, receipt.wait_s, receipt.reason, datetime.now(UTC).isoformat()
        lost = self._scripts.call("settle_deliveries", name, by, *told, *rows)
        return tuple(each.decode() for each in lost)

    def _spec(self, name: str) -> bytes:
        spec: bytes | None = self._scripts.command("HGET", "endpoints", name)
        if spec is None:
            raise refusals.no_endpoint(name)
        return spec

    def _status(self, name: str, spec: bytes) -> EndpointStatus:
        fields, waiting = self._scripts.pipeline(("HGETALL", f"endpoint:{name}"), ("HGET", "outbox", name))
        row = fields_of(fields)
        times = {each: float(row[each]) for each in ("failing_since", "open_until") if each in row}
        counts = {each: int(row[each]) for each in ("delivered", "failed", "failures") if each in row}
        return EndpointStatus.model_validate(
            {
                "endpoint": Endpoint.decode(spec),
                "state": row.get("state", b"active").decode(),
                "reason": row.get("reason", b"").decode(),
                "waiting": int(waiting or 0),
                **times,
                **counts,
            }
        )


def delivery_of(delivery_id: str, row: dict[str, bytes], due_at: float | None) -> Delivery:
    """A row of the outbox. Raises `BadInput` for one that is none."""
    try:
        return Delivery(
            id=delivery_id,
            job_id=row["job_id"].decode(),
            endpoint=row["endpoint"].decode(),
            state=_state(row["state"]),
            attempts=int(row["attempts"]),
            created_at=float(row["created_at"]),
            due_at=due_at,
            failed_at=float(row["failed_at"]) if "failed_at" in row else None,
            reason=row.get("reason", b"").decode(),
            body=row.get("body", b""),
        )
    except (KeyError, ValueError) as exc:
        raise BadInput(f"The row of delivery {delivery_id} cannot be read ({type(exc).__name__}).") from exc


def _state(raw: bytes) -> Literal["queued", "running", "failed"]:
    states: dict[bytes, Literal["queued", "running", "failed"]] = {
        b"queued": "queued",
        b"running": "running",
        b"failed": "failed",
    }
    return states[raw]
