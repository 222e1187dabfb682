"""The doorbell of training runs. The scheduler rings it too: whoever hears it looks whether a run is due."""

from collections.abc import Callable

from celery import Celery

from sluice_schemas.queues import TRAIN_TASK
from sluice_worker.learning.conductor import Conductor
from sluice_worker.pulse import Pulse


def register(app: Celery, conductor: Conductor, pulse: Pulse, *, look: Callable[[], object]) -> None:
    """Lets `app` answer the doorbell: `look` queues the runs that are due, `conductor` takes what waits."""

    @app.task(name=TRAIN_TASK)  # type: ignore[untyped-decorator]
    def train() -> None:
        with pulse.at_work():
            look()
            conductor.run()
