"""The registry in Redis: its whole state is read, changed by the twin's rules, and written if nobody was faster."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from sluice_schemas.adapter import AdapterRecord, Aliases, AliasMove
from sluice_schemas.errors import Unavailable
from sluice_schemas.ledger.keys import PREFIX
from sluice_worker.adapters.memory_registry import MAX_MOVES, MemoryAdapterRegistry

RECORDS, ALIASES, MOVES = (f"{PREFIX}adapters:{name}" for name in ("records", "aliases", "moves"))

T = TypeVar("T")


class RedisAdapterRegistry:
    """An `AdapterRegistry`; what each method promises stands there. Adapters are dozens, so all of them fit a look."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

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
        return self._asked(lambda: [_move(raw) for raw in self._redis.lrange(MOVES, 0, limit - 1)])

    def _look(self, question: Callable[[MemoryAdapterRegistry], T]) -> T:
        book = self._asked(lambda: _read(self._redis))
        return question(book)

    def _change(self, change: Callable[[MemoryAdapterRegistry], T]) -> T:
        def apply(pipe: Pipeline) -> T:
            book = _read(pipe)
            before = {**book.known}
            answer = change(book)
            pipe.multi()
            _write(pipe, book, before)
            return answer

        # Done again when another changed the state between the look and the write.
        transaction: Any = self._redis.transaction
        answer: T = self._asked(lambda: transaction(apply, RECORDS, ALIASES, value_from_callable=True))
        return answer

    def _asked(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except (ConnectionError, TimeoutError) as exc:
            raise Unavailable("Redis does not answer; the aliases of adapters are as they were.") from exc
        except RedisError as exc:
            raise Unavailable(f"Redis refused ({exc}); the aliases of adapters are as they were.") from exc


def _read(redis: "Redis | Pipeline") -> MemoryAdapterRegistry:
    book = MemoryAdapterRegistry()
    found: tuple[Mapping[bytes, bytes], ...] = (redis.hgetall(RECORDS), redis.hgetall(ALIASES))  # type: ignore[assignment]
    book.known = {name.decode(): AdapterRecord.decode(raw) for name, raw in found[0].items()}
    book.named = {name.decode(): Aliases.model_validate_json(raw) for name, raw in found[1].items()}
    return book


def _write(pipe: Pipeline, book: MemoryAdapterRegistry, before: Mapping[str, AdapterRecord]) -> None:
    for digest in before.keys() - book.known.keys():
        pipe.hdel(RECORDS, digest)
    for digest in book.known.keys() - before.keys():
        pipe.hset(RECORDS, digest, book.known[digest].encode())
    for scope, aliases in book.named.items():
        pipe.hset(ALIASES, scope, aliases.model_dump_json())
    for move in book.moves:
        pipe.lpush(MOVES, move.model_dump_json())
    pipe.ltrim(MOVES, 0, MAX_MOVES - 1)


def _move(raw: Any) -> AliasMove:
    return AliasMove.model_validate(orjson.loads(raw))
