"""The process that delivers webhooks. It holds no engine and never runs on a GPU."""

from base64 import b64decode
from pathlib import Path

from pydantic import SecretStr

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
SECRET_MARK = "whsec_"


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
    """Every registered endpoint with its secret.

    Raises `Misconfigured` for plain http that was not allowed and for a secret that cannot sign.
    """
    found = {}
    for endpoint, target in settings.endpoints.items():
        if target.url.startswith("http://") and not target.allow_http:
            raise Misconfigured(f"Endpoint {endpoint!r} uses plain http. Use https, or set its allow_http to true.")
        found[endpoint] = Destination(target.url, _checked(endpoint, settings.secret(endpoint)))
    return found


def _checked(endpoint: str, secret: SecretStr) -> SecretStr:
    """Raises `Misconfigured` for what cannot sign (Standard Webhooks, "Signature scheme": 24 to 64 bytes)."""
    encoded = secret.get_secret_value()
    try:
        size = len(b64decode(encoded.removeprefix(SECRET_MARK), validate=True))
    except ValueError:
        size = 0
    if not encoded.startswith(SECRET_MARK) or not 24 <= size <= 64:
        raise Misconfigured(
            f"The signing secret of endpoint {endpoint!r} must be '{SECRET_MARK}' and the base64 of 24 to 64 bytes. "
            "Get it from the receiver, or make one: openssl rand -base64 32."
        )
    return secret
