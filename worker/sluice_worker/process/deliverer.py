"""The process that delivers webhooks. It holds no engine and never runs on a GPU."""

import os
from contextlib import suppress
from pathlib import Path

import structlog

from sluice_schemas.errors import Misconfigured, Unavailable
from sluice_schemas.ledger import Outbox, connect
from sluice_schemas.links import Links
from sluice_schemas.queues import DELIVERY_BELL, CeleryDoorbell, Doorbell
from sluice_worker.delivery.courier import Courier
from sluice_worker.delivery.outbound import make_client
from sluice_worker.delivery.signing import Secrets
from sluice_worker.ledger import RedisLedger, RedisOutbox
from sluice_worker.process import redis_check
from sluice_worker.process.extractor import begin, name
from sluice_worker.process.station import Exit, Station
from sluice_worker.pulse import Patience, Pulse
from sluice_worker.settings import Settings
from sluice_worker.sweeper import Sweeper
from sluice_worker.tasks import app as celery_app
from sluice_worker.tasks import canary, deliver

log = structlog.get_logger()

THREADS = 64
"""A dozen endpoints that begin to hang at once leave room for others: each keeps four threads, unless ops gave it more,
until its posts have failed, and one from then on."""


def run(settings: Settings, *, ready_file: Path | None = None) -> Exit:
    """Serves until it is told to stop. `ready_file` is written once deliveries are taken."""
    redis = connect(settings.redis_url)
    redis_check.demand(redis)
    outbox, doorbell = RedisOutbox(redis), CeleryDoorbell(settings.redis_url)
    client = make_client(timeout_s=settings.delivery_timeout_s, networks=settings.delivery_networks)
    secrets = Secrets(os.environ)
    links = make_links(settings)
    courier = Courier(
        outbox,
        secrets,
        client,
        name(),
        settings.delivery_schedule_s,
        make_link=None if links is None else links.to,
        ring=lambda: _ring(doorbell),
    )
    _warn(outbox, secrets)
    pulse = Pulse(
        doorbell,
        redis,
        name=name(),
        threads=THREADS,
        patience=Patience(settings.deaf_s, settings.stuck_s),
        on_deaf=lambda: station.end(Exit.DEAF),
    )
    app = celery_app.make(settings.redis_url, "deliver", canary=pulse.queue)
    deliver.register(app, courier, pulse)
    canary.register(app, pulse)
    sweeper = Sweeper(RedisLedger(redis), doorbell, every_s=settings.sweep_every_s)
    station = Station(app, threads=THREADS, grace_s=settings.grace_s, release=courier.release)
    helpers = (pulse.stop, sweeper.stop, client.close)
    return station.serve(helpers=helpers, on_ready=lambda: begin(pulse, ready_file))


def make_links(settings: Settings) -> Links | None:
    """None where events go whole. Raises `Misconfigured` when only one of its two settings is there."""
    if settings.link_url is None and settings.link_secret is None:
        return None
    if settings.link_url is None or settings.link_secret is None:
        raise Misconfigured("SLUICE_LINK_URL and SLUICE_LINK_SECRET belong together: set both, or neither.")
    return Links(settings.link_url, settings.link_secret.get_secret_value().encode())


def _ring(doorbell: Doorbell) -> None:
    # The sweeper rings where this fails.
    with suppress(Unavailable):
        doorbell.ring(*DELIVERY_BELL)


def _warn(outbox: Outbox, secrets: Secrets) -> None:
    """One endpoint without a secret must not keep the others from theirs."""
    for each in outbox.endpoints():
        try:
            secrets.of(each.endpoint.name)
        except Misconfigured as exc:
            log.error("An endpoint cannot be served.", action="endpoint.unfit", error=str(exc))
