"""Calls the ledger's Lua scripts, rides out short losses of Redis, and turns its answers into Sluice's errors."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.resources import files
from typing import Any, TypeVar

import orjson
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError
from redis.retry import Retry

from sluice_schemas.errors import BadInput, Full, Misconfigured, Unavailable
from sluice_schemas.job import Job
from sluice_schemas.ledger.keys import PREFIX
from sluice_schemas.ledger.records import Limits
from sluice_schemas.redis_access import checked, refusal

JOB_SCRIPTS = ("accept", "cancel", "claim", "commit", "drop", "fail", "release", "renew", "replay", "sweep")
DELIVERY_SCRIPTS = ("claim_deliveries", "remove_endpoint", "replay_delivery", "settle_deliveries")
MAX_PAUSE_S = 0.5
MAX_CONNECTIONS = 10_000
"""What Redis itself takes from all clients together. redis-py stops at 100, and a worker may have 512 threads."""

Answer = TypeVar("Answer")


def connect(url: str, *, timeout_s: float = 5.0) -> Redis:
    """A client for the ledger, safe for many threads. Raises `Misconfigured` for what cannot serve one.

    It does not retry by itself: `Scripts` does, with a bound in seconds.
    """
    return Redis.from_url(
        checked(url),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_keepalive=True,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 0),
        max_connections=MAX_CONNECTIONS,
    )


class Scripts:
    """The scripts on one Redis. A lost connection is tried again for `retry_s` seconds: every script may run twice."""

    def __init__(self, redis: Redis, *, retry_s: float = 5.0) -> None:
        # redis-py leaves `execute_command` untyped.
        self._redis: Any = redis
        self._retry_s = retry_s
        self._scripts = {name: redis.register_script(_source(name)) for name in JOB_SCRIPTS + DELIVERY_SCRIPTS}

    def call(self, name: str, *args: str | bytes | float) -> Any:
        """Runs a script; its answer as redis-py gives it. Raises `Full` or `Unavailable`."""
        return self._ask(lambda: self._scripts[name](keys=[PREFIX], args=args))

    def command(self, name: str, key: str, *args: str | bytes | float) -> Any:
        """Runs one command on a key of the ledger (named without the prefix), with the same errors."""
        return self._ask(lambda: self._redis.execute_command(name, PREFIX + key, *args))

    def pipeline(self, *commands: tuple[str | float, ...]) -> list[Any]:
        """Runs (command, key, arguments...) in one round trip, with the same errors."""

        def run() -> list[Any]:
            pipe = self._redis.pipeline(transaction=False)
            for name, key, *args in commands:
                pipe.execute_command(name, f"{PREFIX}{key}", *args)
            answers: list[Any] = pipe.execute()
            return answers

        return self._ask(run)

    def now(self) -> float:
        """Redis's clock, Unix seconds."""
        seconds, microseconds = self._ask(self._redis.time)
        return float(seconds) + float(microseconds) / 1e6

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        ends, pause_s = time.monotonic() + self._retry_s, 0.05
        while True:
            try:
                with _translated():
                    return question()
            except (ConnectionError, TimeoutError) as exc:
                if refused := refusal(exc):
                    raise refused from exc
                if time.monotonic() + pause_s > ends:
                    raise Unavailable(
                        f"Redis did not answer within {self._retry_s:g} s ({type(exc).__name__}). "
                        "If this was a submit, the document was not accepted. Check Redis, then try again."
                    ) from exc
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)


@contextmanager
def _translated() -> Iterator[None]:
    # Redis 6 wraps a script's error in a sentence of its own, and redis-py cuts the code off those of Redis 7: only the
    # text tells which error it was.
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except ResponseError as exc:
        text = str(exc)
        if "OOM" in text or "maxmemory" in text:
            raise Full(
                "Redis is out of memory; nothing was accepted. Raise maxmemory or wait for the workers."
            ) from exc
        if any(sign in text for sign in ("MISCONF", "READONLY", "read only replica", "NOREPLICAS", "LOADING")):
            raise Unavailable(f"Redis refuses to write; nothing was accepted. It says: {text[:200]}") from exc
        raise Misconfigured(f"Redis refused the ledger's request: {text[:200]}") from exc
    except RedisError as exc:
        raise Unavailable(f"Redis failed; nothing was accepted. It says: {str(exc)[:200]}") from exc


def _source(name: str) -> str:
    defaults = ", ".join(f"{limit}={value!r}" for limit, value in asdict(Limits()).items())
    lua = files("sluice_schemas.ledger") / "lua"
    parts = [(lua / f"{part}.lua").read_text() for part in ("rows", "deliveries", name)]
    return f"local LIMITS = {{{defaults}}}\n" + "\n".join(parts)


def fields_of(answer: Sequence[bytes] | dict[bytes, bytes]) -> dict[str, bytes]:
    """A hash as Redis answers it: a list of names and values from a script, a dict from HGETALL."""
    pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
    return {name.decode(errors="replace"): value for name, value in pairs}


def job_of(job_id: str, fields: dict[str, bytes]) -> Job:
    """The public face of a job's row. Raises `BadInput` for a row that is none."""
    try:
        times = {name: float(fields[name]) for name in ("ended_at", "deadline") if name in fields}
        texts = {name: fields[name].decode() for name in ("state", "document_id", "schema_ref", "priority", "tenant")}
        return Job.model_validate(
            {
                "id": job_id,
                **texts,
                **times,
                "endpoints": orjson.loads(fields["endpoints"]),
                "document_version": int(fields["document_version"]),
                "attempts": int(fields["attempts"]),
                "fence": int(fields.get("fence", 0)),
                "accepted_at": float(fields["accepted_at"]),
                "reason": fields.get("reason", b"").decode() or None,
            }
        )
    except (KeyError, ValueError) as exc:  # what pydantic, orjson and decode raise are ValueErrors
        raise BadInput(
            f"The row of job {job_id} cannot be read ({type(exc).__name__}). Redis or its file was damaged or written "
            "by others; drop the job, and submit its document again."
        ) from exc
