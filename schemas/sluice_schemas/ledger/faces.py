"""The two faces of the ledger. Redis serves each side with one class; `MemoryLedger` is both."""

from collections.abc import Sequence
from typing import Protocol

from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order
from sluice_schemas.ledger.records import Claim, Counts, DeadLetter, DeliveryClaim, Limits, Outcome, Swept, Verdict
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
        """Makes the order a job, or finds the job that its key already made; then ring `queues.job_bell`.

        Raises `Conflict` when the key stands for other content, `Full` when the backlog is over its limit or Redis
        is out of memory. After `Full` and `Unavailable` the same order may be sent again: it is one job at most.
        """

    def job(self, job_id: str) -> Job:
        """Raises `NotFound` for an id that never was or whose time to live is over."""

    def result(self, job_id: str) -> Extraction | None:
        """None while there is no result. Raises `NotFound` as `job` does, and when the result's time is over."""

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

    def claim(self, job_id: str, worker: str) -> Claim | None:
        """None when the job runs, has ended, is not yet due, or is unknown: drop the doorbell."""

    def renew(self, claims: Sequence[Claim]) -> dict[str, str]:
        """Renews the leases; job id -> `lost`, `cancelled` or `expired` for each claim to abort."""

    def commit(self, claim: Claim, extraction: Extraction) -> tuple[str, ...]:
        """Ends the job with its result; the ids of the deliveries this put in the outbox. Raises `Lost`."""

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
        """Gives the job back at once; the try does not count. Raises `Lost`."""

    def sweep(self, limit: int = 100) -> Swept:
        """Takes back, moves, expires and finds lost doorbells, at most `limit` of each; empty if one just ran."""

    def claim_delivery(self, delivery_id: str, worker: str) -> DeliveryClaim | None:
        """None when it is being delivered, is over, not yet due, or unknown."""

    def delivered(self, claim: DeliveryClaim) -> None:
        """Ends the delivery and deletes its body. Raises `Lost`."""

    def retry_delivery(self, claim: DeliveryClaim, reason: str, *, delay_s: float, final: bool) -> None:
        """Due again after the delay, or failed for good. Raises `Lost`."""

    def dead_letters(self, limit: int = 100) -> list[Job]:
        """The latest first."""

    def dead_letter(self, job_id: str) -> DeadLetter:
        """Raises `NotFound` when the job is not dead, or was dropped."""

    def replay(self, job_id: str) -> Job:
        """Queues a dead job again with class replay and all its tries. Raises `NotFound` as `dead_letter` does."""

    def drop(self, job_id: str) -> None:
        """Deletes a dead letter's document and evidence for good; the job stays dead. Raises `NotFound` likewise."""

    def counts(self) -> Counts: ...
