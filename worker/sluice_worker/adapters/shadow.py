"""A candidate beside the champion on live documents: its results are compared, and never delivered."""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256

import structlog
from redis import Redis
from redis.exceptions import RedisError

from sluice_schemas.document import Document
from sluice_schemas.errors import Unavailable
from sluice_schemas.extraction import Extraction
from sluice_schemas.ledger.keys import PREFIX
from sluice_schemas.schema import ExtractionSchema
from sluice_worker.evaluation import serve
from sluice_worker.evaluation.score import facts

log = structlog.get_logger()

KEY = f"{PREFIX}adapters:shadow:"
WAITING = 16
"""Documents that may wait for the candidate in memory; beyond them it is spared, and that is counted."""

Extract = Callable[[Document, ExtractionSchema, str], Extraction]
"""A document through the engine, under an adapter."""
Hold = Callable[[str], AbstractContextManager[bool]]
"""Keeps an adapter loaded until the block ends; False when it is not loaded."""


@dataclass(frozen=True, slots=True)
class ShadowCounts:
    """What the candidate did on live documents. Facts are counted as `sluice score` counts them; times in seconds.

    `failed` documents could not be read by the candidate at all, `spared` ones were not shown to it.
    """

    documents: int = 0
    failed: int = 0
    spared: int = 0
    agreed: int = 0
    only_champion: int = 0
    only_candidate: int = 0
    champion_unparsed: int = 0
    candidate_unparsed: int = 0
    champion_s: float = 0.0
    candidate_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Case:
    document: Document
    schema: ExtractionSchema
    champion: Extraction
    candidate: str


class Shadow:
    """One thread, so that a candidate takes at most one document's part of the engine and holds up no task.

    Nothing waits for it, and what it does wrong stays here.
    """

    def __init__(self, redis: Redis, extract: Extract, hold: Hold) -> None:
        self._redis = redis
        self._extract = extract
        self._hold = hold
        self._cases: queue.Queue[_Case | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._loop, name="shadow", daemon=True)
        self._thread.start()

    def offer(self, document: Document, schema: ExtractionSchema, champion: Extraction, candidate: str) -> None:
        """Runs the candidate on a document that is done, when there is room for it. Returns at once."""
        try:
            self._cases.put_nowait(_Case(document, schema, champion, candidate))
        except queue.Full:
            self._count(candidate, {"spared": 1})

    def stop(self) -> None:
        """Ends after the case that may be running; those that wait are dropped."""
        while True:
            try:
                self._cases.get_nowait()
            except queue.Empty:
                break
        self._cases.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while (case := self._cases.get()) is not None:
            with self._hold(case.candidate) as is_held:
                self._count(case.candidate, self._tried(case) if is_held else {"spared": 1})

    def _tried(self, case: _Case) -> dict[str, float]:
        started = time.monotonic()
        try:
            found = self._extract(case.document, case.schema, case.candidate)
        except Exception as exc:  # a candidate may fail in any way; the job ended long ago
            log.warning(
                "A candidate failed on a document.",
                action="shadow.failed",
                adapter=case.candidate,
                job_id=case.champion.job_id,
                error=type(exc).__name__,
            )
            return {"failed": 1}
        return compared(case.champion, found) | {"documents": 1, "candidate_s": time.monotonic() - started}

    def _count(self, candidate: str, counted: dict[str, float]) -> None:
        try:
            pipe = self._redis.pipeline(transaction=False)
            for name, value in counted.items():
                pipe.hincrbyfloat(KEY + candidate, name, value)
            pipe.execute()
        except RedisError as exc:
            log.warning("A comparison was not counted.", action="shadow.uncounted", error=type(exc).__name__)


def is_shadowed(job_id: str, share: float) -> bool:
    """Whether a job is among the share, always the same answer for the same job."""
    return int.from_bytes(sha256(job_id.encode()).digest()[:4], "big") < share * 2**32


def compared(champion: Extraction, candidate: Extraction) -> dict[str, float]:
    """The counts of one document."""
    here, there = facts(serve.records(champion)), facts(serve.records(candidate))
    both = sum((here[level] & there[level]).total() for level in here.keys() & there.keys())
    return {
        "agreed": both,
        "only_champion": sum(each.total() for each in here.values()) - both,
        "only_candidate": sum(each.total() for each in there.values()) - both,
        "champion_unparsed": _unparsed(champion),
        "candidate_unparsed": _unparsed(candidate),
        "champion_s": champion.usage.total_s,
    }


def counts(redis: Redis, digest: str) -> ShadowCounts | None:
    """What was counted of a candidate; None where nothing was. Raises `Unavailable`."""
    try:
        found = redis.hgetall(KEY + digest)
    except RedisError as exc:
        raise Unavailable("Redis does not answer; what the candidate did is not known.") from exc
    if not found:
        return None
    values = {name: float(found.get(name.encode(), 0)) for name in ShadowCounts.__dataclass_fields__}
    return ShadowCounts(**{name: each if name.endswith("_s") else int(each) for name, each in values.items()})  # type: ignore[arg-type]


def _unparsed(extraction: Extraction) -> int:
    return sum(each.kind == "unparsed" for each in extraction.problems)
