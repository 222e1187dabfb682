"""The doorbell of deliveries."""

from celery import Celery

from sluice_schemas.queues import DELIVER_TASK
from sluice_worker.delivery.courier import Courier
from sluice_worker.pulse import Pulse


def register(app: Celery, courier: Courier, pulse: Pulse) -> None:
    """Lets `app` answer the doorbells of deliveries with `courier`."""

    @app.task(name=DELIVER_TASK)  # type: ignore[untyped-decorator]
    def deliver() -> None:
        with pulse.at_work():
            courier.run()
