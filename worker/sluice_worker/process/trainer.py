"""The process that trains: it takes runs, one at a time, and queues those that are due."""

import threading
from collections.abc import Callable
from pathlib import Path

import structlog
from celery.signals import worker_shutting_down

from sluice_schemas.ledger import connect
from sluice_schemas.queues import CeleryDoorbell
from sluice_worker.learning import loop
from sluice_worker.process import redis_check
from sluice_worker.process.extractor import begin, name
from sluice_worker.process.station import Exit, Station
from sluice_worker.pulse import Patience, Pulse
from sluice_worker.settings import Settings
from sluice_worker.tasks import app as celery_app
from sluice_worker.tasks import canary, train

log = structlog.get_logger()

THREADS = 2
"""One works on a run; the other hears."""
LOOK_EVERY_S = 30.0
"""A run whose doorbell was lost waits no longer than this."""


def run(settings: Settings, *, ready_file: Path | None = None) -> Exit:
    """Serves until it is told to stop; the run in hand is then given back and goes on from its checkpoint."""
    redis = connect(settings.redis_url)
    redis_check.demand(redis)
    conductor, schedule = loop.make(settings, redis, name=name())
    doorbell = CeleryDoorbell(settings.redis_url, "train")
    pulse = Pulse(
        doorbell,
        redis,
        name=name(),
        group="train",
        threads=THREADS,
        patience=Patience(settings.deaf_s, settings.stuck_s),
        on_deaf=lambda: station.end(Exit.DEAF),
    )
    app = celery_app.make(settings.redis_url, "train", canary=pulse.queue)
    train.register(app, conductor, pulse, look=schedule.look)
    canary.register(app, pulse)
    station = Station(app, threads=THREADS, grace_s=settings.grace_s, release=conductor.stop)
    watch = Watch(conductor.run)

    def leave(**_: object) -> None:
        # Within a signal handler: it only sets events. A training would outlast any grace.
        conductor.stop()

    worker_shutting_down.connect(leave, weak=False)
    try:
        return station.serve(helpers=(watch.stop, pulse.stop), on_ready=lambda: _begin(watch, pulse, ready_file))
    finally:
        worker_shutting_down.disconnect(leave)


def _begin(watch: "Watch", pulse: Pulse, ready_file: Path | None) -> None:
    watch.start()
    begin(pulse, ready_file)


class Watch:
    """A thread that takes a run whenever one waits though no doorbell was heard for it."""

    def __init__(self, take: Callable[[], bool]) -> None:
        self._take = take
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends once the run that it may have in hand is given back."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        while True:
            while self._take() and not self._stopped.is_set():
                pass
            if self._stopped.wait(LOOK_EVERY_S):
                return
