"""Looks at Redis before the first job: with wrong settings it would lose documents without a word."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from sluice_schemas.errors import Misconfigured, Unavailable

OLDEST = (6, 2)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check-up. `advice` says what to do when `is_ok` is False."""

    name: str
    is_ok: bool
    found: str
    advice: str = ""


def findings(redis: Redis) -> list[Finding]:
    """What is right and wrong with the server. Raises `Unavailable` when it does not answer."""
    try:
        info: Mapping[str, Any] = redis.info()
        config = _config(redis)
    except RedisError as exc:
        said = str(exc).rstrip(". ")
        raise Unavailable(f"Redis does not answer: {said}. Start it, or set SLUICE_REDIS_URL.") from exc
    version = str(info["redis_version"])
    policy = config.get("maxmemory-policy", str(info.get("maxmemory_policy", "noeviction")))
    append_only = "yes" if info.get("aof_enabled") else "no"
    return [
        Finding("redis version", _parsed(version) >= OLDEST, version, "Sluice needs Redis 6.2 or newer; upgrade it."),
        Finding(
            "redis eviction", policy == "noeviction", policy, "Set `maxmemory-policy noeviction`: others drop jobs."
        ),
        Finding("redis append-only", append_only == "yes", append_only, "Set `appendonly yes`: a restart loses jobs."),
        Finding("redis fsync", True, config.get("appendfsync", "not readable"), ""),
    ]


def demand(redis: Redis) -> None:
    """Raises `Misconfigured` that names every wrong setting at once."""
    if wrong := [each for each in findings(redis) if not each.is_ok]:
        raise Misconfigured(" ".join(f"{each.name} is {each.found}. {each.advice}" for each in wrong))


def _config(redis: Redis) -> dict[str, str]:
    """Managed servers forbid CONFIG; INFO tells most of it then."""
    try:
        return {str(key): str(value) for key, value in redis.config_get("*").items()}
    except RedisError:
        return {}


def _parsed(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
