"""What each worker says about the adapters that it serves, so that a promotion can be seen to arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson
from redis import Redis
from redis.exceptions import RedisError

from sluice_schemas.errors import Unavailable
from sluice_schemas.ledger.keys import PREFIX

KEY = f"{PREFIX}adapters:worker:"
TTL_MS = 15_000
"""A worker that is gone is forgotten."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """`serves` maps scopes to a digest or `base`, `faults` digests to why they could not be loaded."""

    worker: str
    serves: Mapping[str, str]
    holds: Sequence[str]
    faults: Mapping[str, str] = field(default_factory=dict)


def write(redis: Redis, status: WorkerStatus) -> None:
    """Says it until it is said anew, or for a quarter of a minute. Raises `RedisError`."""
    redis.set(KEY + status.worker, orjson.dumps(asdict(status)), px=TTL_MS)


def read(redis: Redis) -> list[WorkerStatus]:
    """Those of all live workers, by name. Raises `Unavailable`."""
    try:
        names = sorted(redis.scan_iter(match=KEY.replace("[", "\\[") + "*", count=1000))
        found = redis.mget(names) if names else []
    except RedisError as exc:
        raise Unavailable("Redis does not answer; what workers serve is not known.") from exc
    return [WorkerStatus(**orjson.loads(raw)) for raw in found if raw]
