"""A trained adapter as the registry knows it, and the names under which adapters serve."""

from typing import Annotated

from pydantic import Field

from sluice_schemas.wire import Count, Strict, Wire

BASE = "base"
"""Stands for the bare model where an adapter could be named."""
EVERYTHING = "*"
"""The scope of all schemas without a champion of their own."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")]
"""Twenty hex digits over the content of an adapter: one name, one content, for ever."""
Named = Annotated[str, Field(pattern=r"^([0-9a-f]{20}|base)$")]


class AdapterRecord(Wire):
    """One adapter: `uri` is the folder of its files, `model` the name of the model that it was trained on.

    `scores` are for people: F1 in 0..1 by what was measured. `made_at` is in Unix seconds.
    """

    digest: Digest
    model: str
    uri: str
    scope: str = EVERYTHING
    run_id: str | None = None
    made_at: float
    rank: Count
    size_bytes: Count
    scores: dict[str, float] = Field(default={})
    note: str = Field(default="", max_length=1000)


class Aliases(Strict):
    """Who serves a scope. `version` grows with every move; `shadow_share` of its documents, in 0..1, also run on the
    candidate. A pinned scope is moved by people alone.
    """

    champion: Named = BASE
    previous: Named | None = None
    candidate: Digest | None = None
    shadow_share: float = Field(default=0.0, ge=0, le=1)
    is_pinned: bool = False
    version: Count = 0


class AliasMove(Strict):
    """One line of the history: at a time (Unix seconds), by somebody, an alias of a scope went from one to another."""

    at: float
    by: str
    scope: str
    alias: str
    was: str | None
    now: str | None
