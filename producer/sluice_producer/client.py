"""The client: documents in, job ids and results out."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self, TypeVar, Unpack

from sluice_producer.labels import review
from sluice_producer.labels.access import Access
from sluice_producer.ledger import RedisLedger
from sluice_producer.orders import Options, SubmitOptions, order_of, with_endpoints
from sluice_producer.outcomes import StillRunning, outcome_of
from sluice_producer.stream import accept_patiently, attempt
from sluice_producer.watch import Watch
from sluice_schemas.catalogue import Catalogue
from sluice_schemas.document import Document
from sluice_schemas.errors import NotFound, SluiceError, Unavailable
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order
from sluice_schemas.label import Label, Stored
from sluice_schemas.ledger import ProducerLedger, connect
from sluice_schemas.queues import JOB_BELL, CeleryDoorbell, Doorbell
from sluice_schemas.schema import ExtractionSchema

logger = logging.getLogger("sluice_producer")

LOCAL_REDIS = "redis://127.0.0.1:6379/0"

D = TypeVar("D", bound=str | Document)


class Sluice:
    """A connection to Sluice, safe for many threads; use it as a context manager, or call `close`.

    Every method raises `Unavailable` when Redis does not answer within `retry_s` seconds. `ledger` and `doorbell`,
    given together, take the place of Redis: `sluice_producer.testing.fake_sluice` does so for your tests.

    `labels` is the URL of the database for `label` and `confirm`: SQLite, such as sqlite:///labels.db, or PostgreSQL.
    They need the extra `sluice-ke[labels]`.
    """

    def __init__(
        self,
        url: str = LOCAL_REDIS,
        *,
        labels: str | None = None,
        ledger: ProducerLedger | None = None,
        doorbell: Doorbell | None = None,
        retry_s: float = 5.0,
    ) -> None:
        self._open = ExitStack()
        if ledger is None and doorbell is None:
            ledger, doorbell = self._connect(url, retry_s)
        if ledger is None or doorbell is None:
            raise TypeError("Give both ledger and doorbell, or neither.")
        self._ledger, self._doorbell = ledger, doorbell
        self._catalogue = Catalogue(ledger)
        self._labels = Access(labels)
        self._open.callback(self._labels.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back. Jobs go on."""
        self._open.close()

    def submit(self, document: str | Document, *, schema: str, **options: Unpack[SubmitOptions]) -> Job:
        """Hands in a text, or a `Document`, to be read under the schema `id@version`; returns at once.

        Raises `NotFound` for an unknown schema or endpoint, `BadInput`, `Full`, or `Conflict` when `key` stands for
        other content.
        Without a `key` each call is a job of its own, however often it asks Redis inside.
        """
        order = order_of(document, schema, options)
        try:
            return self.accept(order)
        except Unavailable as exc:
            raise Unavailable(f"{exc} Submitted again with key={order.key!r} it is one job at most.") from exc

    def submit_many(
        self, documents: Iterable[D], *, schema: str, window: int | None = None, **options: Unpack[Options]
    ) -> Iterator[tuple[D, Job | SluiceError]]:
        """Submits a stream, one document at a time; yields each with its job, or with why it was refused.

        Waits while the backlog is full and, with a `window`, while so many of these jobs have not ended. Raises
        `NotFound` for an unknown schema before the first, and what concerns all of them: `Unavailable`.
        """
        self._catalogue.find(schema)
        watch: Watch[None] = Watch(self._ledger.job)
        for document in documents:
            while window is not None and len(watch) >= window:
                watch.wait()
            outcome = self.accept_patiently(attempt(order_of, document, schema, options))
            if window is not None and isinstance(outcome, Job) and not outcome.has_ended:
                watch.add(outcome.id, None)
            yield document, outcome

    def accept(self, order: Order) -> Job:
        """Makes an order a job, or finds the job its key already made, and rings for a worker. Raises as `submit`."""
        job = self._ledger.accept(with_endpoints(order, self._catalogue.find(order.schema_ref)))
        if job.state == "queued":
            self._ring(job)
        return job

    def accept_patiently(self, order: Order | SluiceError) -> Job | SluiceError:
        """As `accept`, for streams: waits while the backlog is full, and hands out what is wrong with this order."""
        return order if isinstance(order, SluiceError) else accept_patiently(self.accept, order)

    def job(self, job_id: str) -> Job:
        """The job as it stands. Raises `NotFound`."""
        return self._ledger.job(job_id)

    def cancel(self, job_id: str) -> Job:
        """Ends the job if it has not ended; the job as it then stands. Raises `NotFound`."""
        return self._ledger.cancel(job_id)

    def result(self, job_id: str, *, timeout_s: float | None = None) -> Extraction:
        """Waits for the job to end, at most `timeout_s` seconds, and returns its result.

        Raises `JobFailed` when it is dead, cancelled or expired, `StillRunning` (a TimeoutError) when the time is
        over, `NotFound` when there is no such job or its result's time to live is over.
        """
        ((_, outcome),) = self.results([job_id], timeout_s=timeout_s)
        if isinstance(outcome, SluiceError):
            raise outcome
        return outcome

    def results(
        self, job_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> Iterator[tuple[str, Extraction | SluiceError]]:
        """Yields each job as it ends, with its result or with the error that `result` would raise."""
        until = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
        watch: Watch[str] = Watch(self._ledger.job)
        for job_id in dict.fromkeys(job_ids):
            watch.add(job_id, job_id)
        while ended := watch.wait(until=until):
            for job_id, job in ended:
                yield job_id, self.outcome(job)
        for job_id in watch:
            yield (
                job_id,
                StillRunning(f"Job {job_id} has not ended after {timeout_s:g} s and goes on. Ask again later."),
            )

    def outcome(self, ended: Job | NotFound) -> Extraction | SluiceError:
        """The result of a job that has ended, or why there is none."""
        return outcome_of(self._ledger, ended)

    def label(
        self, job_id: str, corrected: Extraction | Label, *, author: str, document: Document | str | None = None
    ) -> Stored:
        """Keeps what the result of a job should have been; the label is on disk when this returns.

        `corrected` is a copy of the result with the entities, relations and events that stand in the document, and no
        others. The `document` is needed unless the job was submitted with `reviewable=True`.

        Raises `BadInput`, which names what does not fit the text or the schema, `NotFound`, and `Unavailable` when the
        database does not answer.
        """
        said = review.corrected(self._ledger, job_id, corrected, author=author, document=document)
        return self._keep(said)

    def confirm(self, job_id: str, *, author: str, document: Document | str | None = None) -> Stored:
        """Keeps that the result of a job is right as it is, and complete. Otherwise as `label`."""
        return self._keep(review.confirmed(self._ledger, job_id, author=author, document=document))

    def publish(self, schema: ExtractionSchema) -> None:
        """Publishes a schema under its `id@version`, for ever. Raises `Conflict` when that has other content."""
        self._catalogue.publish(schema)

    def schema(self, ref: str) -> ExtractionSchema:
        """A schema that ships or was published. Raises `NotFound`, which names what comes close."""
        return self._catalogue.find(ref)

    def schemas(self) -> list[str]:
        """The references of all schemas that ship or were published, sorted."""
        return self._catalogue.refs()

    def _keep(self, label: Label) -> Stored:
        return self._labels.store().add(label, schema=self._catalogue.find(label.schema_ref))

    def _connect(self, url: str, retry_s: float) -> tuple[ProducerLedger, Doorbell]:
        redis = connect(url)
        self._open.callback(redis.close)
        bell = CeleryDoorbell(url)
        self._open.callback(bell.close)
        return RedisLedger(redis, retry_s=retry_s), bell

    def _ring(self, job: Job) -> None:
        try:
            self._doorbell.ring(*JOB_BELL)
        except Exception as exc:  # whatever the bell does, accepted is accepted: the sweeper rings again
            logger.warning("Job %s is accepted, but its doorbell did not ring: %s.", job.id, type(exc).__name__)
