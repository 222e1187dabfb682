"""The process that delivers webhooks. It holds no engine and never runs on a GPU."""

from pathlib import Path

from sluice_schemas.errors import Misconfigured
from sluice_schemas.ledger import connect
from sluice_schemas.queues import CeleryDoorbell
from sluice_worker.delivery.courier import Courier, Destination, make_client
from sluice_worker.ledger import RedisLedger
from sluice_worker.process import redis_check
from sluice_worker.process.extractor import mark, name
from sluice_worker.process.station import Exit, Station
from sluice_worker.settings import Settings
from sluice_worker.sweeper import Sweeper
from sluice_worker.tasks import app as celery_app
from sluice_worker.tasks import deliver

THREADS = 8


def run(settings: Settings, *, ready_file: Path | None = None) -> Exit:
    """Serves until it is told to stop. `ready_file` is written once deliveries are taken."""
    redis = connect(settings.redis_url)
    redis_check.demand(redis)
    ledger = RedisLedger(redis)
    doorbell = CeleryDoorbell(settings.redis_url)
    client = make_client(timeout_s=settings.delivery_timeout_s)
    courier = Courier(ledger, destinations(settings), client, name(), settings.delivery_attempts)
    app = celery_app.make(settings.redis_url, "deliver")
    deliver.register(app, courier)
    sweeper = Sweeper(ledger, doorbell, every_s=settings.sweep_every_s)
    # A post that is cut off is made again under the same webhook-id when its lease runs out.
    station = Station(app, threads=THREADS, grace_s=settings.grace_s, release=lambda: None)
    return station.serve(helpers=(sweeper.stop, client.close), on_ready=lambda: mark(ready_file))


def destinations(settings: Settings) -> dict[str, Destination]:
    """Every registered endpoint with its secret. Raises `Misconfigured` for plain http that was not allowed."""
    found = {}
    for endpoint, target in settings.endpoints.items():
        if target.url.startswith("http://") and not target.allow_http:
            raise Misconfigured(f"Endpoint {endpoint!r} uses plain http. Use https, or set its allow_http to true.")
        found[endpoint] = Destination(target.url, settings.secret(endpoint))
    return found
