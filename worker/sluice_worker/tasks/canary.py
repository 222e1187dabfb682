"""The doorbell by which a worker knows that it still hears."""

from celery import Celery

from sluice_schemas.queues import CANARY_TASK
from sluice_worker.pulse import Pulse


def register(app: Celery, pulse: Pulse) -> None:
    """Lets `app` answer the canary of its own process."""

    @app.task(name=CANARY_TASK)  # type: ignore[untyped-decorator]
    def canary() -> None:
        pulse.heard()
