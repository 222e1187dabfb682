"""Keeps the claims of this process alive, and tells running work when its claim is gone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from sluice_schemas.ledger import Claim, WorkerLedger

log = structlog.get_logger()


class Leases:
    """One heartbeat for all claims of the process. Use `held` around work on a claim."""

    def __init__(self, ledger: WorkerLedger, *, every_s: float) -> None:
        self._ledger = ledger
        self._every_s = every_s
        self._held: dict[str, tuple[Claim, threading.Event]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
        self._thread.start()

    @contextmanager
    def held(self, claim: Claim) -> Iterator[threading.Event]:
        """Renews the claim until the block ends. The event is set when the claim is lost, cancelled or expired."""
        mine = (claim, threading.Event())
        with self._lock:
            older = self._held.get(claim.job_id)
            self._held[claim.job_id] = mine
        if older:
            # The job came back to this process while it still worked on a claim that had run out.
            older[1].set()
        try:
            yield mine[1]
        finally:
            with self._lock:
                if self._held.get(claim.job_id) is mine:
                    del self._held[claim.job_id]

    def claims(self) -> list[Claim]:
        """What runs now."""
        with self._lock:
            return [claim for claim, _ in self._held.values()]

    def renew(self) -> None:
        """One heartbeat. When Redis does not answer, the next one tries again: the lease outlives several."""
        held = self.claims()
        if not held:
            return
        try:
            gone = self._ledger.renew(held)
        except Exception as exc:  # whatever it is, the next heartbeat tries again: without one every claim is lost
            log.warning("Leases could not be renewed; trying again.", action="lease.unreachable", error=str(exc))
            return
        for claim in held:
            if claim.job_id in gone:
                self._abort(claim, gone[claim.job_id])

    def stop(self) -> None:
        """Ends the heartbeat; what is still held runs out by itself."""
        self._stopped.set()
        self._thread.join()

    def _abort(self, claim: Claim, why: str) -> None:
        with self._lock:
            now_held, event = self._held.get(claim.job_id, (None, None))
            if event is None or now_held is not claim:
                # It ended while the ledger was asked.
                return
            event.set()
        log.warning("A claim is gone; its work is dropped.", action="lease.gone", job_id=claim.job_id, why=why)

    def _beat(self) -> None:
        while not self._stopped.wait(self._every_s):
            self.renew()
