"""The two faces of the ledger. Redis serves each side with one class; `MemoryLedger` is both."""

from collections.abc import Sequence
from typing import Protocol

from sluice_schemas.document import Document
from sluice_schemas.endpoint import Endpoint, EndpointStatus
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order
from sluice_schemas.ledger.deliveries import Consignment, Delivery, Receipt
from sluice_schemas.ledger.records import Claim, Counts, DeadLetter, Limits, Outcome, Swept, Verdict
from sluice_schemas.schema import ExtractionSchema


class SchemaRegistry(Protocol):
    """Published extraction schemas, for both sides."""

    def publish(self, schema: ExtractionSchema) -> None:
        """Stands for ever once it returns. `Conflict` when the ref stands for other content."""

    def schema(self, ref: str) -> ExtractionSchema:
        """Raises `NotFound`."""

    def schemas(self) -> list[str]:
        """All refs, sorted."""


class ProducerLedger(SchemaRegistry, Protocol):
    """What a service may do. Every method raises `Unavailable` when the ledger does not answer in time."""

    def accept(self, order: Order) -> Job:
        """Makes the order a job, or finds the job that its key already made; then ring `queues.JOB_BELL`.

        Raises `Conflict` when the key stands for other content, `NotFound` for an endpoint that is not registered,
        `Full` when the backlog is over its limit or Redis is out of memory. After `Full` and `Unavailable` the same
        order may be sent again: it is one job at most.
        """

    def job(self, job_id: str) -> Job:
        """Raises `NotFound` for an id that never was or whose time to live is over."""

    def result(self, job_id: str) -> Extraction | None:
        """None while there is no result. Raises `NotFound` as `job` does, and when the result's time is over."""

    def document(self, job_id: str) -> Document | None:
        """What the job reads; None when it has ended and did not keep it. Raises `NotFound` as `job` does."""

    def cancel(self, job_id: str) -> Job:
        """Ends the job if it has not ended; the job as it then stands."""


class WorkerLedger(SchemaRegistry, Protocol):
    """What a worker may do. `Lost` means: drop the work, nothing was written."""

    def set_limits(self, limits: Limits) -> None:
        """From now on, for all processes."""

    def close_intake(self) -> None:
        """From now on `accept` refuses what is new with `Full`, for all processes; what was accepted goes on."""

    def open_intake(self) -> None:
        """Undoes `close_intake`."""

    def claim(self, worker: str) -> Claim | None:
        """The job whose turn it is, by class and tenant; None when none waits: drop the doorbell.

        A job whose stored document is damaged ends dead here, and the next one is given.
        """

    def renew(self, claims: Sequence[Claim]) -> dict[str, str]:
        """Renews the leases; job id -> `lost`, `cancelled` or `expired` for each claim to abort."""

    def commit(self, claim: Claim, extraction: Extraction) -> int:
        """Ends the job with its result; how many deliveries in the outbox to ring for. Raises `Lost`."""

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
        """Ends the attempt: queued again after the delay, or dead by the verdict or out of tries. Raises `Lost`."""

    def release(self, claim: Claim) -> None:
        """Gives the job back at once: it keeps its turn, and the try does not count. Raises `Lost`."""

    def sweep(self, *, waiting: int = 0, waiting_deliveries: int = 0, limit: int = 100) -> Swept:
        """Takes back, moves, expires and finds lost doorbells, at most `limit` of each; empty if one just ran.

        `waiting` is how many doorbells of jobs no worker has heard yet, `waiting_deliveries` likewise of deliveries.
        """

    def dead_letters(self, limit: int = 100) -> list[Job]:
        """The latest first."""

    def dead_letter(self, job_id: str) -> DeadLetter:
        """Raises `NotFound` when the job is not dead, or was dropped."""

    def replay(self, job_id: str) -> Job:
        """Queues a dead job again with class replay and all its tries. Raises `NotFound` as `dead_letter` does."""

    def drop(self, job_id: str) -> None:
        """Deletes a dead letter's document and evidence for good; the job stays dead. Raises `NotFound` likewise."""

    def counts(self) -> Counts: ...


class Outbox(Protocol):
    """Endpoints, and the webhooks that wait for them. What is about one endpoint raises `NotFound` for no such one."""

    def add_endpoint(self, endpoint: Endpoint, *, replace: bool = False) -> None:
        """Registers it. Raises `Conflict` when its name stands for another one, unless it is to `replace` that."""

    def endpoints(self) -> list[EndpointStatus]:
        """All of them, by name."""

    def endpoint(self, name: str) -> EndpointStatus: ...

    def pause_endpoint(self, name: str) -> None:
        """Keeps what waits for it until it is resumed."""

    def resume_endpoint(self, name: str) -> None:
        """Ends a pause and an endpoint's being disabled, and forgets its failures."""

    def remove_endpoint(self, name: str, *, force: bool = False) -> None:
        """Raises `Conflict` while deliveries wait for it; by force they fail."""

    def claim_deliveries(self, worker: str) -> Consignment | None:
        """What one post takes to one endpoint that would take it now; None when there is nothing."""

    def settle_deliveries(
        self, consignment: Consignment, receipt: Receipt, *, delays_s: Sequence[float | None]
    ) -> tuple[str, ...]:
        """Ends one post; the ids of deliveries that were another's by then, for which nothing was written.

        `delays_s`, one for each claim, says how long one that was refused waits for its next try; None that it has
        none, and fails.
        """

    def failed_deliveries(self, *, since: float = 0.0, endpoint: str | None = None, limit: int = 100) -> list[Delivery]:
        """Those that failed for good since a Unix time, the latest first."""

    def delivery(self, delivery_id: str) -> Delivery:
        """Raises `NotFound` when it never was, was delivered, or its time to live is over."""

    def replay_delivery(self, delivery_id: str) -> None:
        """Lets a failed one begin again under the same id. Raises `NotFound`, or `Conflict` for a disabled endpoint."""
