"""The doorbell of jobs."""

from collections.abc import Callable

from celery import Celery

from sluice_schemas.errors import EngineDead
from sluice_schemas.queues import EXTRACT_TASK
from sluice_worker.pulse import Pulse
from sluice_worker.work import Work


def register(app: Celery, work: Work, pulse: Pulse, *, on_death: Callable[[EngineDead], None]) -> None:
    """Lets `app` answer the doorbells of jobs with `work`; `on_death` is called when the engine died."""

    @app.task(name=EXTRACT_TASK)  # type: ignore[untyped-decorator]
    def extract() -> None:
        answer(work, pulse, on_death)


def answer(work: Work, pulse: Pulse, on_death: Callable[[EngineDead], None]) -> bool:
    """Takes one job, if one waits; whether one did."""
    with pulse.at_work():
        try:
            return work.run()
        except EngineDead as dead:
            on_death(dead)
            return False
