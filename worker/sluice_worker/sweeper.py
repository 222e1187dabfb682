"""Sets right what crashes and lost messages leave behind. Any worker may run it; the ledger lets one at a time."""

import threading
from collections.abc import Callable, Sequence

import structlog

from sluice_schemas.errors import Unavailable
from sluice_schemas.ledger import WorkerLedger
from sluice_schemas.queues import DELIVER_QUEUE, EXTRACT_QUEUE, JOB_BELL, Bell, Doorbell

log = structlog.get_logger()


class Sweeper:
    """A thread that sweeps the ledger every few seconds and rings the doorbells that it finds.

    `on_mute` is called when jobs wait and no doorbell can be rung for them: a full Redis takes none, and nothing but
    work can empty it.
    """

    def __init__(
        self, ledger: WorkerLedger, doorbell: Doorbell, *, every_s: float, on_mute: Callable[[], None] | None = None
    ) -> None:
        self._ledger = ledger
        self._doorbell = doorbell
        self._every_s = every_s
        self._on_mute = on_mute
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="sweeper", daemon=True)
        self._thread.start()

    def sweep(self) -> None:
        """One sweep. When Redis does not answer, the next one tries again."""
        try:
            swept = self._ledger.sweep(
                waiting=self._waiting(EXTRACT_QUEUE), waiting_deliveries=self._waiting(DELIVER_QUEUE)
            )
            self._ring(swept.doorbells)
        except Exception as exc:  # whatever it is, the next sweep tries again: without one nothing is ever set right
            log.warning("The sweep did not finish; trying again.", action="sweep.unreachable", error=str(exc))
            return
        if swept.taken_back or swept.expired or swept.buried:
            log.warning(
                "Took back what was left behind.",
                action="sweep.took_back",
                jobs=swept.taken_back,
                expired=len(swept.expired),
                dead=len(swept.buried),
            )

    def stop(self) -> None:
        """Ends after the sweep that may be running."""
        self._stopped.set()
        self._thread.join()

    def _ring(self, bells: Sequence[Bell]) -> None:
        try:
            for bell in bells:
                self._doorbell.ring(*bell)
        except Unavailable:
            if JOB_BELL in bells and self._on_mute is not None:
                self._on_mute()
            raise

    def _waiting(self, queue: str) -> int:
        try:
            return self._doorbell.waiting(queue)
        except Unavailable:
            # Leases and deadlines do not wait until doorbells can be counted; one too many does no harm.
            return 0

    def _loop(self) -> None:
        while not self._stopped.wait(self._every_s):
            self.sweep()
