"""The producer's face of the ledger in Redis: accept, look, cancel."""

import orjson
from redis import Redis

from sluice_schemas.document import Document
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order
from sluice_schemas.ledger import Scripts, keys, refusals
from sluice_schemas.ledger.packing import pack, unpack
from sluice_schemas.ledger.registry import RedisRegistry
from sluice_schemas.ledger.scripts import fields_of, job_of
from sluice_schemas.schema import ExtractionSchema


class RedisLedger:
    """A `ProducerLedger`; what each method promises stands there. A lost Redis is tried again for `retry_s` seconds."""

    def __init__(self, redis: Redis, *, retry_s: float = 5.0) -> None:
        self._scripts = Scripts(redis, retry_s=retry_s)
        self._registry = RedisRegistry(self._scripts)

    def accept(self, order: Order) -> Job:
        fingerprint = keys.fingerprint(order)
        timeout_s = "" if order.timeout_s is None else order.timeout_s
        public: dict[str, str | bytes] = {
            "document_id": order.document.id,
            "document_version": str(order.document.version),
            "schema_ref": order.schema_ref,
            "priority": order.priority,
            "tenant": order.tenant,
            "endpoints": orjson.dumps(order.endpoints),
            **({"reviewable": "1"} if order.reviewable else {}),
        }
        body = order.encode()
        row = [part for field in (public | {"cost": str(len(body))}).items() for part in field]
        named = keys.new_job_id(), keys.key_digest(order), fingerprint
        verdict, *rest = self._scripts.call("accept", *named, pack(body), timeout_s, public["endpoints"], *row)
        if verdict == b"conflict":
            raise refusals.other_content(order, rest[0].decode())
        if verdict == b"no endpoint":
            raise refusals.no_endpoint(rest[0].decode())
        if verdict == b"closed":
            raise refusals.closed()
        if verdict == b"full":
            limit, jobs, size_bytes, deliveries, age_s = rest
            raise refusals.backlog(
                limit.decode(), jobs=jobs, size_bytes=size_bytes, deliveries=deliveries, oldest_age_s=float(age_s)
            )
        return job_of(rest[0].decode(), fields_of(rest[1]))

    def job(self, job_id: str) -> Job:
        return self._job(job_id, fields_of(self._scripts.command("HGETALL", f"job:{job_id}")))

    def result(self, job_id: str) -> Extraction | None:
        raw = self._scripts.command("GET", f"result:{job_id}")
        if raw is not None:
            return Extraction.decode(raw)
        if self.job(job_id).state != "succeeded":
            return None
        # The job may have ended between the two looks.
        raw = self._scripts.command("GET", f"result:{job_id}")
        if raw is None:
            raise refusals.no_result(job_id)
        return Extraction.decode(raw)

    def document(self, job_id: str) -> Document | None:
        packed = self._scripts.command("GET", f"doc:{job_id}")
        if packed is None:
            self.job(job_id)
            return None
        return Order.decode(unpack(packed)).document

    def cancel(self, job_id: str) -> Job:
        return self._job(job_id, fields_of(self._scripts.call("cancel", job_id, "Cancelled by its caller.")))

    def publish(self, schema: ExtractionSchema) -> None:
        self._registry.publish(schema)

    def schema(self, ref: str) -> ExtractionSchema:
        return self._registry.schema(ref)

    def schemas(self) -> list[str]:
        return self._registry.schemas()

    def _job(self, job_id: str, fields: dict[str, bytes]) -> Job:
        if not fields:
            raise refusals.no_job(job_id)
        return job_of(job_id, fields)
