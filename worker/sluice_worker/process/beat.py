"""The process that reminds the trainers to look whether a run is due.

It keeps no schedule, so that two of them do no harm and none needs a file: Celery's own beat has both (and its file is
a pickle). A bell that no trainer has heard yet is not rung twice.
"""

import signal
import threading
from pathlib import Path

import structlog

from sluice_schemas.errors import Unavailable
from sluice_schemas.ledger import connect
from sluice_schemas.queues import TRAIN_BELL, TRAIN_QUEUE, CeleryDoorbell, Doorbell
from sluice_worker.process import redis_check
from sluice_worker.process.extractor import mark
from sluice_worker.process.station import Exit
from sluice_worker.settings import Settings

log = structlog.get_logger()


def run(settings: Settings, *, ready_file: Path | None = None) -> Exit:
    """Rings every `SLUICE_BEAT_EVERY_S` until it is told to stop; `ready_file` is touched each time."""
    redis_check.demand(connect(settings.redis_url))
    doorbell, told = CeleryDoorbell(settings.redis_url, "train"), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    log.info("The scheduler runs.", action="beat.ready", every_s=settings.beat_every_s)
    while not told.is_set():
        remind(doorbell)
        mark(ready_file)
        told.wait(settings.beat_every_s)
    doorbell.close()
    log.info("The scheduler has stopped.", action="beat.stopped")
    return Exit.DONE


def remind(doorbell: Doorbell) -> None:
    """Rings, unless a bell waits. When Redis does not answer, the next time does."""
    try:
        if not doorbell.waiting(TRAIN_QUEUE):
            doorbell.ring(*TRAIN_BELL)
    except Unavailable as exc:
        log.warning("The trainers could not be reminded.", action="beat.unreachable", error=str(exc))
