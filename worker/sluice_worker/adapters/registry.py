"""Which adapters there are, and which of them serve: the face of the registry, whose truth is in Redis."""

from collections.abc import Mapping
from typing import Protocol

from sluice_schemas.adapter import EVERYTHING, AdapterRecord, Aliases, AliasMove


class AdapterRegistry(Protocol):
    """Every method raises `Unavailable` when Redis does not answer in time.

    `by` says who moves an alias: a run's id, or a person. A scope is `*` or a schema's `id@version`; what is neither
    raises `BadInput`. One that nobody moved is served, and pinned, as `*` is: its first move begins with that champion.
    """

    def register(self, record: AdapterRecord) -> None:
        """Knows it from now on. Registering the same again is no error; `Conflict` where its digest has other facts."""

    def records(self) -> list[AdapterRecord]:
        """The newest first."""

    def record(self, digest: str) -> AdapterRecord:
        """Raises `NotFound`."""

    def remove(self, digest: str) -> None:
        """Forgets it. Raises `Conflict` while an alias names it, `NotFound`."""

    def aliases(self) -> Mapping[str, Aliases]:
        """By scope; scopes that nobody ever moved are left out."""

    def set_candidate(self, scope: str, digest: str | None, *, shadow_share: float, by: str) -> Aliases:
        """`shadow_share` of the scope's documents also run on it; None ends that. Raises `NotFound`."""

    def promote(self, scope: str, named: str, *, by: str, expected: str | None = None, force: bool = False) -> Aliases:
        """The champion becomes `previous` and `named` (a digest or `base`) the champion, in one step.

        Promoting the champion changes nothing. Raises `Conflict` when the scope is pinned, unless by `force`, and when
        the champion is not the `expected` one; `NotFound` for an unknown digest.
        """

    def rollback(self, scope: str, *, by: str) -> Aliases:
        """`previous` and champion change places. Raises `NotFound` when there is no previous one."""

    def pin(self, scope: str, *, by: str) -> Aliases:
        """From now on no run moves the scope's champion."""

    def unpin(self, scope: str, *, by: str) -> Aliases: ...

    def history(self, limit: int = 100) -> list[AliasMove]:
        """The latest first."""


def serving(aliases: Mapping[str, Aliases], scope: str) -> Aliases:
    """The aliases that hold for a scope: its own once somebody moved them, else those of all schemas."""
    return aliases.get(scope) or aliases.get(EVERYTHING) or Aliases()
