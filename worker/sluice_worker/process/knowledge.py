"""A knowledge base beside the rest on one machine: its command, its secret, and its place among the endpoints."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import orjson

from sluice_schemas import signing_secret
from sluice_schemas.endpoint import Endpoint
from sluice_schemas.errors import Misconfigured
from sluice_schemas.ledger import connect
from sluice_worker.delivery.signing import variable
from sluice_worker.ledger import RedisOutbox

NAME = "knowledge"
NETWORKS = "SLUICE_DELIVERY_NETWORKS"
LOOPBACK = "127.0.0.0/8"


def command(folder: Path, port: int) -> Sequence[str]:
    """What runs it, with its graph under `folder`; the ready file then holds its URL."""
    return ("knowledge", "serve", "--folder", str(folder / NAME), "--port", str(port))


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """With a new secret for both sides, and with webhooks allowed to this machine. Raises `Misconfigured`."""
    secret = signing_secret.make()
    try:
        networks = [*orjson.loads(given.get(NETWORKS, "[]"))]
    except (orjson.JSONDecodeError, TypeError) as exc:
        raise Misconfigured(f'{NETWORKS} is no JSON list of networks. Write it as ["10.0.0.0/8"].') from exc
    return {
        **given,
        variable(NAME): secret,
        "SLUICE_KNOWLEDGE_SECRET": secret,
        NETWORKS: orjson.dumps([*networks, LOOPBACK]).decode(),
    }


def register(redis_url: str, url: str) -> None:
    """Makes it the endpoint NAME: batches, since it stores each post as one."""
    with closing(connect(redis_url)) as redis:
        endpoint = Endpoint(name=NAME, url=f"{url}/webhooks", allow_http=True, batch=20, linked_data=False)
        RedisOutbox(redis).add_endpoint(endpoint, replace=True)
