"""What `sluice adapters` shows: tables for people, lines for programs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.table import Table

from sluice_schemas.adapter import BASE, EVERYTHING, AdapterRecord, Aliases, AliasMove
from sluice_schemas.printable import printable
from sluice_worker.adapters.status import WorkerStatus

if TYPE_CHECKING:
    from sluice_worker.adapters.shadow import ShadowCounts

DIGITS = 12
"""Of a digest in a table: they fit, tell adapters apart, and every command takes them."""


class Shown(Protocol):
    def lines(self) -> Iterator[dict[str, Any]]:
        """JSON objects."""

    def print(self) -> None:
        """For a terminal of 80 columns."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Scopes, adapters, workers; `counted` holds what candidates did."""

    aliases: Mapping[str, Aliases]
    records: Sequence[AdapterRecord]
    workers: Sequence[WorkerStatus]
    counted: "Mapping[str, ShadowCounts | None]"

    def lines(self) -> Iterator[dict[str, Any]]:
        for scope, each in sorted(self.aliases.items()):
            counts = self.counted.get(each.candidate or "")
            shadow = {"shadow": asdict(counts)} if counts else {}
            yield {"kind": "scope", "scope": scope, **each.model_dump(mode="json"), **shadow}
        for record in self.records:
            yield {"kind": "adapter", **record.model_dump(mode="json")}
        for worker in self.workers:
            yield {"kind": "worker", **asdict(worker)}

    def print(self) -> None:
        out = _console()
        if not self.records:
            out.print(
                "No adapters: the bare model serves. `sluice retrain` trains one, `sluice adapters add` brings one."
            )
        if self.aliases:
            out.print(_scopes(self.aliases))
            out.print()
        if self.records:
            out.print(_adapters(self.records))
        for sentence in (*_tries(self.aliases, self.counted), *_followers(self.aliases, self.workers)):
            out.print(f"\n{sentence}")


@dataclass(frozen=True, slots=True)
class Moves:
    """The history of aliases."""

    found: Sequence[AliasMove]

    def lines(self) -> Iterator[dict[str, Any]]:
        return (each.model_dump(mode="json") for each in self.found)

    def print(self) -> None:
        if not self.found:
            _console().print("Nobody moved an alias yet.")
            return
        table = _table("when")
        for name in ("scope", "what", "by"):
            table.add_column(name, overflow="fold")
        for (at, scope, by), made in groupby(self.found, lambda each: (each.at, each.scope, each.by)):
            when = datetime.fromtimestamp(at).astimezone().strftime("%m-%d %H:%M:%S")
            what = ", ".join(filter(None, map(_told, [*made][::-1])))
            table.add_row(when, *map(printable, (scope, what, by)))
        _console().print(table)


def moves(found: Sequence[AliasMove]) -> Moves:
    return Moves(found)


def whole(
    record: AdapterRecord,
    aliases: Mapping[str, Aliases],
    workers: Sequence[WorkerStatus],
    counts: "ShadowCounts | None",
) -> dict[str, Any]:
    """One adapter with its names, who holds it, who cannot load it, and what it did as a candidate."""
    digest = record.digest
    named = ("champion", "previous", "candidate")
    return {
        **record.model_dump(mode="json"),
        "names": {
            scope: names
            for scope, each in sorted(aliases.items())
            if (names := [name for name in named if getattr(each, name) == digest])
        },
        "held_by": [each.worker for each in workers if digest in each.holds],
        "faults": {each.worker: each.faults[digest] for each in workers if digest in each.faults},
        "shadow": asdict(counts) if counts else None,
    }


def _scopes(aliases: Mapping[str, Aliases]) -> Table:
    table = _table()
    table.add_column("scope", overflow="fold")
    for name in ("champion", "previous", "candidate", "pinned"):
        table.add_column(name, no_wrap=True)
    for scope, each in sorted(aliases.items()):
        tried = f"{_short(each.candidate)} {each.shadow_share:.0%}" if each.candidate else "-"
        pinned = "yes" if each.is_pinned else "-"
        table.add_row(printable(scope), _short(each.champion), _short(each.previous), tried, pinned)
    return table


def _adapters(records: Sequence[AdapterRecord]) -> Table:
    table = _table("adapter", "age")
    table.add_column("scope", overflow="fold")
    table.add_column("run", overflow="fold")
    table.add_column("scores, note", overflow="fold")
    for each in records:
        notes = [*(f"{name} {score:.3f}" for name, score in each.scores.items()), *filter(None, [each.note])]
        texts = (each.scope, each.run_id or "-", ", ".join(notes) or "-")
        table.add_row(_short(each.digest), _age(time.time() - each.made_at), *map(printable, texts))
    return table


def _tries(aliases: Mapping[str, Aliases], counted: "Mapping[str, ShadowCounts | None]") -> Iterator[str]:
    for digest, counts in counted.items():
        scopes = ", ".join(scope for scope, each in sorted(aliases.items()) if each.candidate == digest)
        name = f"Candidate {_short(digest)} of {printable(scopes)}"
        if counts is None:
            yield f"{name} was shown no document yet."
            continue
        spared = f", {counts.spared:,} not shown to it" if counts.spared else ""
        yield (
            f"{name}: {counts.documents:,} documents, {counts.failed:,} failed{spared}. Facts: {counts.agreed:,} of "
            f"both, {counts.only_champion:,} of the champion alone, {counts.only_candidate:,} of the candidate alone."
        )


def _followers(aliases: Mapping[str, Aliases], workers: Sequence[WorkerStatus]) -> Iterator[str]:
    """Who has faults, who serves something else, how many follow."""
    late = [each for each in workers if any(_serves(each, scope) != a.champion for scope, a in aliases.items())]
    for each in workers:
        for digest, fault in each.faults.items():
            yield f"{printable(each.worker)} cannot serve {_short(digest)}: {printable(fault)}"
        if each in late:
            says = ", ".join(f"{scope} by {_short(digest)}" for scope, digest in sorted(each.serves.items()))
            yield f"{printable(each.worker)} does not follow; it serves {printable(says) or 'the bare model'}."
    if workers:
        yield f"{len(workers) - len(late)} of {len(workers)} live workers follow."
    else:
        yield "No worker is live."


def _serves(worker: WorkerStatus, scope: str) -> str:
    return worker.serves.get(scope) or worker.serves.get(EVERYTHING, BASE)


def _short(named: str | None) -> str:
    return "-" if named is None else named[:DIGITS]


def _told(move: AliasMove) -> str:
    match move.alias:
        case "is_pinned":
            return "pinned" if move.now == "True" else "unpinned"
        case "shadow_share":
            return f"{float(move.now or 0):.0%} of the documents" if move.now != "0.0" else ""
        case "previous":  # what the champion was
            return ""
        case _:
            return f"{move.alias} {_short(move.was)} to {_short(move.now)}"


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def _console() -> Console:
    return Console(markup=False, emoji=False, highlight=False)
