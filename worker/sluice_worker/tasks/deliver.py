"""The doorbell of a delivery."""

from celery import Celery

from sluice_schemas.queues import DELIVER_TASK
from sluice_worker.delivery.courier import Courier


def register(app: Celery, courier: Courier) -> None:
    """Lets `app` answer the doorbells of deliveries with `courier`."""

    @app.task(name=DELIVER_TASK)  # type: ignore[untyped-decorator]
    def deliver(delivery_id: str) -> None:
        courier.run(delivery_id)
