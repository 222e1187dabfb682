"""One document from doorbell to commit: claim, plan, ask the engine, merge, commit."""

import random
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass, field
from math import inf

import structlog

from sluice_schemas.catalogue import Catalogue
from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput, EngineDead, Lost, Misconfigured, Retryable, SluiceError
from sluice_schemas.extraction import Extraction
from sluice_schemas.ledger import Claim, Verdict, WorkerLedger
from sluice_schemas.queues import DELIVERY_BELL, Doorbell
from sluice_schemas.schema import ExtractionSchema
from sluice_worker.adapters.chooser import Bare, Chooser
from sluice_worker.engine.request import Completion, Engine, Request
from sluice_worker.harvest import Answer, merge
from sluice_worker.leases import Leases
from sluice_worker.ledger.backoff import backoff_s
from sluice_worker.plan import Limits, Question, plan
from sluice_worker.solitude import Solitude

log = structlog.get_logger()

LOOK_EVERY_S = 0.25
"""How often a waiting thread looks whether its claim is gone."""


class Dropped(Exception):
    """The claim went away while its document was being worked on; nobody waits for the result."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a task thread needs to take one document through. Shared by all threads of the process.

    Once `over` is set no job is claimed any more: what still waits in this process is for others.
    """

    ledger: WorkerLedger
    catalogue: Catalogue
    engine: Engine
    leases: Leases
    doorbell: Doorbell
    limits: Limits
    name: str
    chooser: Chooser = field(default_factory=Bare)
    over: threading.Event = field(default_factory=threading.Event)
    solitude: Solitude = field(default_factory=Solitude)

    def run(self) -> bool:
        """Takes the next job, if one waits; whether one did. A suspect runs alone.

        Raises `EngineDead` alone: the process must end.
        """
        with self.solitude.beside_others():  # before the claim: who waits here keeps no job from other workers
            claim = self._claim()
            if claim is None:
                return False
            if not claim.is_suspect:
                with self.leases.held(claim) as gone:
                    self._work(claim, gone)
                return True
        with self.leases.held(claim) as gone, self.solitude.alone():
            self._work(claim, gone)
        return True

    def _work(self, claim: Claim, gone: threading.Event) -> None:
        if self.over.is_set():  # the engine died while this one waited to begin: it had no part in it
            self.give_back(claim)
            return
        try:
            schema = self.catalogue.find(claim.order.schema_ref)
            extraction = self._extract(claim, schema, gone)
            self._commit(claim, extraction)
            self.chooser.committed(claim.order.document, schema, extraction)
        except (Lost, Dropped):
            log.info("The claim is gone; the work is dropped.", action="job.dropped", job_id=claim.job_id)
        except EngineDead as exc:
            self.over.set()
            self._fail(claim, exc)
            raise
        except Exception as exc:  # a document may break anything; it must end in the ledger, not in a log
            self._fail(claim, exc)

    def give_back(self, claim: Claim) -> bool:
        """Lets another have the job at once; its try does not count. False when the ledger does not answer."""
        try:
            self.ledger.release(claim)
        except SluiceError as exc:
            log.warning(
                "A claim could not be given back.", action="job.unreleased", job_id=claim.job_id, error=str(exc)
            )
            return not isinstance(exc, Retryable)
        log.warning("A document was given back unfinished.", action="job.released", job_id=claim.job_id)
        return True

    def _claim(self) -> Claim | None:
        if self.over.is_set():
            return None
        try:
            return self.ledger.claim(self.name)
        except SluiceError as exc:
            log.warning("No job could be claimed.", action="job.unclaimed", error=str(exc))
            return None

    def _extract(self, claim: Claim, schema: ExtractionSchema, gone: threading.Event) -> Extraction:
        with self.chooser.chosen(schema.ref) as adapter:
            extraction = extract(
                claim.order.document,
                schema,
                engine=self.engine,
                limits=self.limits,
                gone=gone,
                time_left_s=claim.time_left_s,
                adapter=adapter,
            )
        return extraction.model_copy(update={"job_id": claim.job_id})

    def _commit(self, claim: Claim, extraction: Extraction) -> None:
        rings = self.ledger.commit(claim, extraction)
        log.info(
            "A document is done.",
            action="job.succeeded",
            job_id=claim.job_id,
            schema=extraction.schema_ref,
            adapter=extraction.adapter,
            requests=extraction.usage.requests,
            total_s=extraction.usage.total_s,
            problems=len(extraction.problems),
        )
        self._ring(rings)

    def _fail(self, claim: Claim, exc: Exception) -> None:
        """Ends the attempt. Input and settings do not mend themselves: such a job is dead at the first try."""
        trace = "".join(traceback.format_exception(exc))
        try:
            outcome = self.ledger.fail(
                claim,
                _reason(exc),
                verdict=_verdict(exc),
                traceback=trace,
                raw=getattr(exc, "raw", ""),
                retry_delay_s=backoff_s(claim.attempt, random.random()),
            )
        except SluiceError as unnoted:
            # Its lease runs out, and the sweeper takes it back.
            log.warning(
                "The failure could not be noted.", action="job.unnoted", job_id=claim.job_id, error=str(unnoted)
            )
            return
        log.warning(
            "An attempt failed.",
            action="job.failed",
            job_id=claim.job_id,
            attempt=claim.attempt,
            state=outcome.state,
            error=type(exc).__name__,
        )
        self._ring(outcome.rings)

    def _ring(self, rings: int) -> None:
        try:
            for _ in range(rings):
                self.doorbell.ring(*DELIVERY_BELL)
        except Retryable:
            log.warning("A doorbell was not rung; the sweeper will.", action="doorbell.missed")


def extract(
    document: Document,
    schema: ExtractionSchema,
    *,
    engine: Engine,
    limits: Limits,
    gone: threading.Event | None = None,
    time_left_s: float | None = None,
    adapter: str | None = None,
) -> Extraction:
    """A document through the engine, without queue or ledger. `job_id` of the result is empty.

    `adapter` names one that the engine has loaded; None is the bare model.

    Raises `BadInput`, `Misconfigured` or `EngineDead`; `Dropped` once `gone` is set or the time is over.
    A request that fails by itself is listed in the result's problems, unless all of them fail.
    """
    started = time.monotonic()
    questions = plan(document, schema, card=engine.card, count_tokens=engine.count_tokens, limits=limits)
    requests = [
        Request(each.prompt, limits.answer_tokens, each.grammar, each.is_distinct, adapter) for each in questions
    ]
    submitted = time.monotonic()
    futures = engine.submit_all(requests)
    try:
        _await(futures, gone or threading.Event(), until=started + (inf if time_left_s is None else time_left_s))
    finally:
        for future in futures:
            future.cancel()
    answered = time.monotonic()
    answers = [_answer(question, future) for question, future in zip(questions, futures, strict=True)]
    merged = merge(document, schema, answers, card=engine.card)
    times = {"engine_s": round(answered - submitted, 4), "total_s": round(time.monotonic() - started, 4)}
    return merged.model_copy(update={"adapter": adapter, "usage": merged.usage.model_copy(update=times)})


def _verdict(exc: Exception) -> Verdict:
    if isinstance(exc, BadInput | Misconfigured):
        return "dead"
    return "suspect" if isinstance(exc, EngineDead) else "retry"


def _reason(exc: Exception) -> str:
    """What callers are told. Messages of errors that are not our own may quote the document: they stay evidence."""
    if isinstance(exc, SluiceError):
        return str(exc)
    return f"The worker failed on this document ({type(exc).__name__}). Its traceback is kept with the dead letter."


def _await(futures: Sequence["Future[Completion]"], gone: threading.Event, *, until: float) -> None:
    """Until every future is done, and no longer than anybody waits for it, which is `until` (monotonic)."""
    left = set(futures)
    while left:
        _, left = wait(left, timeout=LOOK_EVERY_S, return_when=FIRST_EXCEPTION)
        for future in set(futures) - left:
            if isinstance(exc := future.exception(), EngineDead):
                raise exc
        if left and (gone.is_set() or time.monotonic() >= until):
            raise Dropped


def _answer(question: Question, future: "Future[Completion]") -> Answer:
    exc = future.exception()
    return Answer(question, future.result()) if exc is None else Answer(question, None, exc)
