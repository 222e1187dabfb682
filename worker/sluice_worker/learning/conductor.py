"""Takes a run from step to step: claimed, kept alive, resumed where the one before fell silent, and ended."""

import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from sluice_schemas.errors import BadInput, Conflict, Lost, Misconfigured, Retryable, SluiceError
from sluice_worker.learning.run import STEPS, Run, RunClaim, RunState, StepName
from sluice_worker.learning.run_store import RunStore

log = structlog.get_logger()


class Stopped(Exception):
    """The claim is gone, or the process is to end: the step stops where it is."""


class Ended(Exception):
    """A step knows how the run ends; no step comes after it."""

    def __init__(self, state: RunState, reason: str, *, adapter: str | None = None) -> None:
        super().__init__(reason)
        self.state: RunState = state
        self.reason = reason
        self.adapter = adapter


@dataclass(frozen=True, slots=True)
class Context:
    """What a step is given: its run, a folder of the run's own, and how to tell what it does.

    `detail` gives what a step before found. `gone` is set once nobody wants the step's work any more; a step then
    raises `Stopped`.
    """

    claim: RunClaim
    folder: Path
    gone: threading.Event
    detail: Callable[[StepName], dict[str, Any]]
    say: Callable[[str], None]
    progress: Callable[[float], None]

    @property
    def run(self) -> Run:
        return self.claim.run

    def demand(self) -> None:
        """Raises `Stopped` when nobody wants the work any more."""
        if self.gone.is_set():
            raise Stopped


Work = Callable[[Context], dict[str, Any]]
"""A step's work; what it returns is kept as its detail. It may be called again after a kill at any point."""


class Conductor:
    """Works on one run at a time. `stop` lets the process end: the run is given back and goes on elsewhere."""

    def __init__(
        self, store: RunStore, works: Mapping[StepName, Work], *, folder: Path, name: str, lease_s: float = 60.0
    ) -> None:
        self._lease_s = lease_s
        self._store = store
        self._works = works
        self._folder = folder
        self._name = name
        self._gone = threading.Event()
        self._stopping = threading.Event()
        self._one = threading.Lock()

    def run(self) -> bool:
        """Takes the next run, if one waits and none is in hand; whether one was taken."""
        if self._stopping.is_set() or not self._one.acquire(blocking=False):
            return False
        try:
            claim = self._store.claim(self._name, lease_s=self._lease_s)
            if claim is None:
                return False
            self._conduct(claim)
            return True
        except SluiceError as exc:
            log.warning("No run could be taken.", action="run.unclaimed", error=str(exc))
            return False
        finally:
            self._one.release()

    def stop(self) -> None:
        """The run in hand, if there is one, stops where it is and is given back."""
        self._stopping.set()
        self._gone.set()

    def _conduct(self, claim: RunClaim) -> None:
        log.info("A run begins.", action="run.begins", run_id=claim.run.id, attempt=claim.run.attempts)
        try:
            with self._kept_alive(claim):
                self._work(claim)
        except (Stopped, Lost):
            self._give_back(claim)
        except Ended as ended:
            self._note(claim, ended.state, ended.reason, adapter=ended.adapter)
        except Exception as exc:  # whatever breaks a run must stand in its row, not only in a log
            self._fail(claim, exc)

    def _work(self, claim: RunClaim) -> None:
        done = self._done(claim)
        for name in STEPS:
            if name in done:
                continue
            self._store.begin_step(claim, name)
            self._store.say(claim, f"{name} ...")
            detail = self._works[name](self._context(claim, name))
            self._store.end_step(claim, name, detail)
        raise Ended("failed", "The last step did not say how it ended; this is a fault of Sluice.")

    def _context(self, claim: RunClaim, name: StepName) -> Context:
        folder = self._folder / claim.run.id
        folder.mkdir(parents=True, exist_ok=True)
        return Context(
            claim,
            folder,
            self._gone,
            detail=lambda other: self._store.get(claim.run.id).step(other).detail,
            say=lambda text: self._store.say(claim, text),
            progress=lambda share: self._store.progress(claim, name, round(share, 3)),
        )

    def _done(self, claim: RunClaim) -> set[StepName]:
        """The steps that need not be done again: what they made lies in the run's folder, if it is on this host."""
        if not claim.run.steps or (self._folder / claim.run.id).is_dir():
            return {step.name for step in claim.run.steps if step.is_done}
        self._store.say(claim, "Its folder is not on this host; the run begins again. Share SLUICE_RUNS_DIR.")
        self._store.forget_steps(claim)
        return set()

    @contextmanager
    def _kept_alive(self, claim: RunClaim) -> Iterator[None]:
        self._gone.clear()
        if self._stopping.is_set():
            self._gone.set()
        over = threading.Event()
        beat = threading.Thread(target=self._beat, args=(claim, over), name="run-lease", daemon=True)
        beat.start()
        try:
            yield
        finally:
            over.set()
            beat.join()

    def _beat(self, claim: RunClaim, over: threading.Event) -> None:
        while not over.wait(self._lease_s / 4):
            try:
                self._store.renew(claim, lease_s=self._lease_s)
            except Lost:
                self._gone.set()
                return
            except Exception as exc:  # whatever it is, the next beat tries again: without one the run is lost
                log.warning("A run's lease could not be renewed.", action="run.unrenewed", error=str(exc))

    def _give_back(self, claim: RunClaim) -> None:
        try:
            self._store.release(claim, reason="Given back by a trainer that was told to stop.")
        except SluiceError as exc:
            # It is another's, or was cancelled; or its lease runs out, and another takes it.
            log.info("A run is no longer ours.", action="run.lost", run_id=claim.run.id, error=str(exc))

    def _fail(self, claim: RunClaim, exc: Exception) -> None:
        log.warning(
            "A run's step failed.",
            action="run.step_failed",
            run_id=claim.run.id,
            error=type(exc).__name__,
            # Frames without the message, which may quote a document.
            frames="".join(traceback.format_tb(exc.__traceback__)),
        )
        if isinstance(exc, BadInput | Misconfigured | Conflict):
            self._note(claim, "failed", str(exc))
            return
        reason = str(exc) if isinstance(exc, SluiceError) else f"{type(exc).__name__}: {exc}"
        try:
            if isinstance(exc, Retryable | OSError):
                self._store.release(claim, reason=f"Tried again: {reason}", counts=True)
            else:
                self._store.end(claim, "failed", reason=reason)
        except SluiceError as unnoted:
            log.warning("How a run failed could not be noted.", action="run.unnoted", error=str(unnoted))

    def _note(self, claim: RunClaim, state: RunState, reason: str, *, adapter: str | None = None) -> None:
        try:
            self._store.end(claim, state, reason=reason, adapter=adapter)
        except SluiceError as exc:
            # Its lease runs out, and the next trainer comes to the same end.
            log.warning("How a run ended could not be noted.", action="run.unnoted", error=str(exc))
            return
        log.info("A run has ended.", action="run.ended", run_id=claim.run.id, state=state, reason=reason)
