"""`sluice jobs`: how much waits, runs and has ended, how old the oldest is, and how fast it goes."""

import sys
import time
from dataclasses import asdict
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from sluice_schemas.ledger import Counts
from sluice_worker.commands.ledger import opened


@click.command()
@click.option(
    "--over",
    "over_s",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="S",
    help="Measure the rates over S seconds.",
)
def jobs(over_s: float) -> None:
    """Print what the ledger holds: jobs by state, the oldest that has not ended, deliveries, and rates.

    One JSON object where standard output is no terminal.
    """
    with opened() as ledger:
        before, started = ledger.counts(), time.monotonic()
        time.sleep(over_s)
        now = ledger.counts()
    figures = asdict(now) | {"queued": now.queued} | _rates(before, now, time.monotonic() - started)
    if not sys.stdout.isatty():
        click.echo(orjson.dumps(figures))
        return
    rows = Table.grid(padding=(0, 2))
    rows.add_column()
    rows.add_column(justify="right")
    for name, value in _told(figures):
        rows.add_row(name, value)
    Console(markup=False, emoji=False, highlight=False).print(rows)


def _rates(before: Counts, now: Counts, seconds: float) -> dict[str, float]:
    """Jobs a second that came in and that ended."""
    ended = sum(now.ended.values()) - sum(before.ended.values())
    open_now, open_before = (each.queued + each.delayed + each.running for each in (now, before))
    return {
        "ended_per_s": round(ended / seconds, 2),
        "accepted_per_s": round(max(0, open_now - open_before + ended) / seconds, 2),
    }


def _told(figures: dict[str, Any]) -> list[tuple[str, str]]:
    ended = figures["ended"]
    return [
        ("intake", "closed" if figures["is_closed"] else "open"),
        *((f"queued, {name}", f"{count:,}") for name, count in figures["waiting"].items()),
        ("waiting for their next try", f"{figures['delayed']:,}"),
        ("running", f"{figures['running']:,}"),
        ("dead letters", f"{figures['dead']:,}"),
        ("oldest that has not ended", f"{figures['oldest_age_s']:,.0f} s"),
        ("backlog", f"{figures['backlog_bytes'] / 1e6:,.1f} MB"),
        ("deliveries waiting", f"{figures['deliveries']:,}"),
        *((f"{state} since ever", f"{count:,}") for state, count in sorted(ended.items())),
        ("accepted", f"{figures['accepted_per_s']:,.1f} a second"),
        ("ended", f"{figures['ended_per_s']:,.1f} a second"),
    ]
