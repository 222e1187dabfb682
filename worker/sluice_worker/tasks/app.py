"""The Celery application: it carries doorbells and nothing else."""

from celery import Celery
from kombu import Queue

from sluice_schemas.queues import Group, broker_options, queues_of
from sluice_schemas.redis_access import checked


def make(url: str, group: Group, *, canary: str) -> Celery:
    """An app whose workers hear the doorbells of one group and of the queue `canary`.

    Results and delays are the ledger's business.
    """
    app = Celery("sluice", broker=checked(url), set_as_current=False)
    app.conf.update(
        broker_transport="sluice_worker.tasks.transport:Transport",
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        # A doorbell is acknowledged on receipt: what is lost the sweeper rings again.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        task_queues=[*queues_of(group), Queue(canary, routing_key=canary)],
        task_create_missing_queues=False,
        broker_transport_options=broker_options(group),
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
    )
    return app
