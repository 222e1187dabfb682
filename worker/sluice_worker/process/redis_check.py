"""Looks at Redis before the first job: with wrong settings it would lose documents without a word."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

from sluice_schemas.errors import Misconfigured, Unavailable
from sluice_schemas.ledger.keys import PREFIX
from sluice_schemas.redis_access import refusal

log = structlog.get_logger()

OLDEST = (6, 2)
MAX_SKEW_S = 1.0
MAX_MEMORY_SHARE = 0.9
MIB = 1 << 20
TRIAL = "return redis.call('EXISTS', KEYS[1])"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check-up. `advice` says what to do when `is_ok` is False, `is_fatal` that no worker may start."""

    name: str
    is_ok: bool
    found: str
    advice: str = ""
    is_fatal: bool = True


def findings(redis: Redis, *, clock: Callable[[], float] = time.time) -> list[Finding]:
    """What is right and wrong with the server.

    Raises `Unavailable` when it does not answer, and `Misconfigured` when it turns this client away. `clock` gives
    this machine's Unix seconds.
    """
    try:
        info: Mapping[str, Any] = redis.info()
        config = _config(redis)
        ahead_s, doubt_s = _ahead(redis, clock)
        redis.register_script(TRIAL)(keys=[f"{PREFIX}trial"])
    except RedisError as exc:
        if refused := refusal(exc):
            raise refused from exc
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
        _memory(int(info["used_memory"]), int(info.get("maxmemory", 0))),
        _clock(ahead_s, doubt_s),
    ]


def demand(redis: Redis, *, clock: Callable[[], float] = time.time) -> None:
    """Raises `Misconfigured` that names every setting with which no worker may start; logs what else is wrong."""
    wrong = [each for each in findings(redis, clock=clock) if not each.is_ok]
    for each in wrong:
        if not each.is_fatal:
            log.warning(_told(each), action="redis.doubtful", check=each.name)
    if fatal := [_told(each) for each in wrong if each.is_fatal]:
        raise Misconfigured(" ".join(fatal))


def _told(finding: Finding) -> str:
    return f"{finding.name} is {finding.found}. {finding.advice}"


def _memory(used_bytes: int, max_bytes: int) -> Finding:
    """Not fatal: only workers can empty a full Redis."""
    return Finding(
        "redis memory",
        max_bytes == 0 or used_bytes <= MAX_MEMORY_SHARE * max_bytes,
        f"{used_bytes / MIB:.0f} of {max_bytes / MIB:.0f} MiB" if max_bytes else "no maxmemory",
        "Raise maxmemory, add workers, or lower SLUICE_RESULT_TTL_S: a full Redis refuses documents.",
        is_fatal=False,
    )


def _clock(ahead_s: float, doubt_s: float) -> Finding:
    """Not fatal: the ledger goes by Redis's clock alone. Standard Webhooks advises receivers to allow 5 minutes."""
    return Finding(
        "clock",
        abs(ahead_s) - doubt_s <= MAX_SKEW_S,
        f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} Redis",
        "Run NTP on both machines. No document is harmed, but logs mislead, and receivers of webhooks refuse "
        "timestamps that are 5 minutes off.",
        is_fatal=False,
    )


def _ahead(redis: Redis, clock: Callable[[], float]) -> tuple[float, float]:
    """By how many seconds this clock is ahead of Redis's, and how many seconds that may be wrong by."""
    asked = clock()
    seconds, microseconds = redis.time()
    answered = clock()
    return (asked + answered) / 2 - (seconds + microseconds / 1e6), (answered - asked) / 2


def _config(redis: Redis) -> dict[str, str]:
    """Managed servers forbid CONFIG; INFO tells most of it then."""
    try:
        return {str(key): str(value) for key, value in redis.config_get("*").items()}
    except RedisError:
        return {}


def _parsed(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
