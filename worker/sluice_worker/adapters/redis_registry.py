"""The registry in Redis: its whole state is read, changed by the twin's rules, and written if nobody was faster."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from sluice_schemas.adapter import AdapterRecord, Aliases, AliasMove
from sluice_schemas.errors import BadInput, Full, SluiceError, Unavailable
from sluice_schemas.ledger.keys import PREFIX
from sluice_schemas.redis_access import refusal
from sluice_worker.adapters.memory_registry import MAX_MOVES, MemoryAdapterRegistry

RECORDS, ALIASES, MOVES = (f"{PREFIX}adapters:{name}" for name in ("records", "aliases", "moves"))
MAX_PAUSE_S = 0.5

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class RedisAdapterRegistry:
    """An `AdapterRegistry`; what each method promises stands there. Adapters are dozens, so all of them fit a look.

    A lost Redis is tried again for `retry_s` seconds; a change whose answer was lost is made once.
    """

    def __init__(self, redis: Redis, *, retry_s: float = 5.0) -> None:
        self._redis = redis
        self._retry_s = retry_s

    def register(self, record: AdapterRecord) -> None:
        self._change(lambda book: book.register(record))

    def records(self) -> list[AdapterRecord]:
        return self._look(lambda book: book.records())

    def record(self, digest: str) -> AdapterRecord:
        return self._look(lambda book: book.record(digest))

    def remove(self, digest: str) -> None:
        self._change(lambda book: book.remove(digest))

    def aliases(self) -> Mapping[str, Aliases]:
        return self._look(lambda book: book.aliases())

    def set_candidate(self, scope: str, digest: str | None, *, shadow_share: float, by: str) -> Aliases:
        return self._change(lambda book: book.set_candidate(scope, digest, shadow_share=shadow_share, by=by))

    def promote(self, scope: str, named: str, *, by: str, expected: str | None = None, force: bool = False) -> Aliases:
        return self._change(lambda book: book.promote(scope, named, by=by, expected=expected, force=force))

    def rollback(self, scope: str, *, by: str) -> Aliases:
        return self._change(lambda book: book.rollback(scope, by=by))

    def pin(self, scope: str, *, by: str) -> Aliases:
        return self._change(lambda book: book.pin(scope, by=by))

    def unpin(self, scope: str, *, by: str) -> Aliases:
        return self._change(lambda book: book.unpin(scope, by=by))

    def history(self, limit: int = 100) -> list[AliasMove]:
        if limit < 1:
            return []
        found: list[Any] = self._asked(lambda: self._redis.lrange(MOVES, 0, limit - 1))
        return [_row(AliasMove, raw, "the history") for raw in found]

    def _look(self, question: Callable[[MemoryAdapterRegistry], T]) -> T:
        return question(self._asked(lambda: _read(self._redis)))

    def _change(self, change: Callable[[MemoryAdapterRegistry], T]) -> T:
        tries: list[_Try[T]] = []

        def apply(pipe: Pipeline) -> T:
            book = _read(pipe)
            if tries and tries[-1].arrived(pipe, book):
                pipe.multi()
                return tries[-1].answer
            before = {**book.known}
            made = _Try(change(book), before, book)
            tries.append(made)
            pipe.multi()
            made.write(pipe)
            return made.answer

        # Done again when another changed the state between the look and the write.
        transaction: Any = self._redis.transaction
        answer: T = self._asked(lambda: transaction(apply, RECORDS, ALIASES, value_from_callable=True))
        return answer

    def _asked(self, question: Callable[[], T]) -> T:
        ends, pause_s = time.monotonic() + self._retry_s, 0.05
        while True:
            try:
                return question()
            except (ConnectionError, TimeoutError) as exc:
                if refused := refusal(exc):
                    raise refused from exc
                if time.monotonic() + pause_s > ends:
                    raise Unavailable(
                        f"Redis did not answer within {self._retry_s:g} s ({type(exc).__name__}). Check Redis; "
                        "`sluice adapters list` then shows whether a change was made."
                    ) from exc
            except RedisError as exc:
                raise _refused(exc) from exc
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)


@dataclass(frozen=True, slots=True)
class _Try(Generic[T]):
    """A change that was worked out, and may have reached Redis though its answer was lost."""

    answer: T
    before: Mapping[str, AdapterRecord]
    book: MemoryAdapterRegistry

    def write(self, pipe: Pipeline) -> None:
        for digest in self.before.keys() - self.book.known.keys():
            pipe.hdel(RECORDS, digest)
        for digest in self.book.known.keys() - self.before.keys():
            pipe.hset(RECORDS, digest, self.book.known[digest].encode())
        for scope in {move.scope for move in self.book.moves}:
            pipe.hset(ALIASES, scope, self.book.named[scope].model_dump_json())
        if self.book.moves:
            pipe.lpush(MOVES, *(move.model_dump_json() for move in self.book.moves))
            pipe.ltrim(MOVES, 0, MAX_MOVES - 1)

    def arrived(self, pipe: Pipeline, found: MemoryAdapterRegistry) -> bool:
        if self.book.moves:
            lines: list[Any] = pipe.lrange(MOVES, 0, -1)
            return self.book.moves[-1].model_dump_json().encode() in lines
        return self.book.known != self.before and self.book.known == found.known


def _read(redis: "Redis | Pipeline") -> MemoryAdapterRegistry:
    book = MemoryAdapterRegistry()
    records: Mapping[Any, Any] = redis.hgetall(RECORDS)
    aliases: Mapping[Any, Any] = redis.hgetall(ALIASES)
    for name, raw in records.items():
        book.known[name.decode()] = AdapterRecord.decode(raw)
    for name, raw in aliases.items():
        book.named[name.decode()] = _row(Aliases, raw, f"scope {name.decode()}")
    return book


def _row(kind: type[M], raw: bytes, what: str) -> M:
    try:
        return kind.model_validate_json(raw)
    except ValidationError as exc:
        raise BadInput(
            f"What Redis holds on {what} cannot be read: it was damaged, or written by another release. Upgrade this "
            f"side, or see HGETALL {ALIASES}."
        ) from exc


def _refused(exc: RedisError) -> SluiceError:
    said = str(exc)[:200]
    if "OOM" in said or "maxmemory" in said:
        return Full("Redis is out of memory; nothing was changed. Raise maxmemory, or wait for the workers.")
    return refusal(exc) or Unavailable(f"Redis refuses; nothing was changed. It says: {said}")
