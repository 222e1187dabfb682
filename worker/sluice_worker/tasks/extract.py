"""The doorbell of a job."""

from collections.abc import Callable

from celery import Celery

from sluice_schemas.errors import EngineDead
from sluice_schemas.queues import EXTRACT_TASK
from sluice_worker.work import Work


def register(app: Celery, work: Work, *, on_death: Callable[[EngineDead], None]) -> None:
    """Lets `app` answer the doorbells of jobs with `work`; `on_death` is called when the engine died."""

    @app.task(name=EXTRACT_TASK)  # type: ignore[untyped-decorator]
    def extract(job_id: str) -> None:
        try:
            work.run(job_id)
        except EngineDead as dead:
            on_death(dead)
