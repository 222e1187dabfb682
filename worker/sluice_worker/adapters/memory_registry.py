"""The registry's rules, over plain dictionaries: the twin for tests, and what the one in Redis applies."""

import threading
import time
from collections.abc import Callable, Mapping

from sluice_schemas.adapter import BASE, EVERYTHING, AdapterRecord, Aliases, AliasMove
from sluice_schemas.errors import BadInput, Conflict, NotFound
from sluice_schemas.schema import REF
from sluice_worker.adapters.registry import serving

MAX_MOVES = 1000
"""The history goes back so many moves."""


class MemoryAdapterRegistry:
    """An `AdapterRegistry`; what each method promises stands there. Safe for many threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.known: dict[str, AdapterRecord] = {}
        self.named: dict[str, Aliases] = {}
        self.moves: list[AliasMove] = []
        self._clock = clock
        self._lock = threading.RLock()

    def register(self, record: AdapterRecord) -> None:
        with self._lock:
            other = self.known.setdefault(record.digest, record)
            if (other.model, other.rank) != (record.model, record.rank):
                raise Conflict(f"Adapter {record.digest} is registered with another model or rank; remove that first.")

    def records(self) -> list[AdapterRecord]:
        with self._lock:
            return sorted(self.known.values(), key=lambda each: (-each.made_at, each.digest))

    def record(self, digest: str) -> AdapterRecord:
        with self._lock:
            if digest not in self.known:
                raise NotFound(f"There is no adapter {digest[:40]!r}; `sluice adapters list` shows those there are.")
            return self.known[digest]

    def remove(self, digest: str) -> None:
        with self._lock:
            self.record(digest)
            for scope, each in self.named.items():
                if digest in (each.champion, each.previous, each.candidate):
                    raise Conflict(f"Adapter {digest} has a name in scope {scope!r}; move that to another one first.")
            del self.known[digest]

    def aliases(self) -> Mapping[str, Aliases]:
        with self._lock:
            return {**self.named}

    def set_candidate(self, scope: str, digest: str | None, *, shadow_share: float, by: str) -> Aliases:
        with self._lock:
            if not 0 <= shadow_share <= 1:
                raise BadInput(f"A candidate's share of the documents is from 0 to 1, not {shadow_share:g}.")
            if digest is not None:
                self.record(digest)
            share = shadow_share if digest else 0.0
            return self._move(scope, by, candidate=digest, shadow_share=share)

    def promote(self, scope: str, named: str, *, by: str, expected: str | None = None, force: bool = False) -> Aliases:
        with self._lock:
            if named != BASE:
                self.record(named)
            now = self._now(scope)
            if now.champion == named:
                return now
            if serving(self.named, scope).is_pinned and not force:
                holder = scope if scope in self.named else EVERYTHING
                raise Conflict(f"Scope {holder!r} is pinned to {now.champion}; unpin it first, or use force.")
            if expected is not None and now.champion != expected:
                raise Conflict(f"Scope {scope!r} is served by {now.champion} by now, and not by {expected}.")
            kept = None if now.candidate == named else now.candidate
            share = now.shadow_share if kept else 0.0
            return self._move(scope, by, champion=named, previous=now.champion, candidate=kept, shadow_share=share)

    def rollback(self, scope: str, *, by: str) -> Aliases:
        with self._lock:
            now = self._now(scope)
            if now.previous is None:
                raise NotFound(
                    f"Nothing served scope {scope!r} before; `sluice adapters promote base` is the bare model."
                )
            return self._move(scope, by, champion=now.previous, previous=now.champion)

    def pin(self, scope: str, *, by: str) -> Aliases:
        with self._lock:
            return self._move(scope, by, is_pinned=True)

    def unpin(self, scope: str, *, by: str) -> Aliases:
        with self._lock:
            return self._move(scope, by, is_pinned=False)

    def history(self, limit: int = 100) -> list[AliasMove]:
        with self._lock:
            return self.moves[: -limit - 1 : -1] if limit > 0 else []

    def _now(self, scope: str) -> Aliases:
        """A scope that nobody moved begins with the champion that serves it: a pin or a candidate must change none."""
        if scope != EVERYTHING and not REF.fullmatch(scope):
            raise BadInput(f"A scope is {EVERYTHING} or a schema's id@version, not {scope[:80]!r}.")
        return self.named.get(scope) or Aliases(champion=serving(self.named, scope).champion)

    def _move(self, scope: str, by: str, **changes: object) -> Aliases:
        was = self._now(scope)
        changed = {name: value for name, value in changes.items() if getattr(was, name) != value}
        if not changed:
            return was
        now = self.named[scope] = was.model_copy(update={**changed, "version": was.version + 1})
        at = self._clock()
        for name, value in changed.items():
            old = getattr(was, name)
            self.moves.append(AliasMove(at=at, by=by, scope=scope, alias=name, was=_shown(old), now=_shown(value)))
        del self.moves[:-MAX_MOVES]
        return now


def _shown(value: object) -> str | None:
    return None if value is None else str(value)
