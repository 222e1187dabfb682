"""`sluice deliveries`: webhooks that nobody took, why, and how to send them again."""

import re
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from sluice_schemas.errors import Conflict, NotFound, Unavailable
from sluice_schemas.ledger import Delivery
from sluice_schemas.printable import printable
from sluice_schemas.queues import DELIVERY_BELL, CeleryDoorbell
from sluice_worker.commands.ledger import opened_outbox
from sluice_worker.settings import Settings

ENDPOINT = click.option("--endpoint", metavar="NAME", help="Those for one endpoint alone.")
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
ALL = 1_000_000


class Moment(click.ParamType[float]):
    """A time as ISO 8601, or so long ago: 90s, 15m, 2h, 3d. Its value is in Unix seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        if ago := re.fullmatch(r"(\d{1,6})([smhd])", value):
            return time.time() - int(ago[1]) * UNITS_S[ago[2]]
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            self.fail(f"{value!r} is no time; write 2h, 3d or 2026-01-31T12:00", param, ctx)


@click.group()
def deliveries() -> None:
    """Look at webhooks that failed for good, and send them again.

    They are kept as long as results are (SLUICE_RESULT_TTL_S). How many wait, `sluice endpoints list` shows.
    """


@deliveries.command("list")
@ENDPOINT
@click.option(
    "--since", type=Moment(), default="3650d", show_default="ever", help="Failed since then: 2h, 3d, or ISO 8601."
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The latest N.")
def list_deliveries(endpoint: str | None, since: float, limit: int) -> None:
    """List failed deliveries, the latest first; one JSON object a line where standard output is no terminal."""
    with opened_outbox() as outbox:
        found = outbox.failed_deliveries(since=since, endpoint=endpoint, limit=limit)
    if not sys.stdout.isatty():
        for each in found:
            click.echo(orjson.dumps(_fields(each)))
        return
    if not found:
        click.echo("No failed deliveries.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("delivery", "endpoint", "failed", "tries"):
        table.add_column(name, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for each in found:
        failed = datetime.fromtimestamp(each.failed_at or 0).astimezone().strftime("%m-%d %H:%M")
        table.add_row(each.id, each.endpoint, failed, str(each.attempts), printable(each.reason))
    Console(markup=False, emoji=False, highlight=False).print(table)


@deliveries.command()
@click.argument("delivery_id", metavar="DELIVERY")
def show(delivery_id: str) -> None:
    """Print a delivery that waits or failed as JSON, with its body, which holds what was found in the document."""
    with opened_outbox() as outbox:
        found = outbox.delivery(delivery_id)
    body: Any = found.body.decode(errors="replace")
    with suppress(orjson.JSONDecodeError):
        body = orjson.loads(found.body)
    click.echo(orjson.dumps(_fields(found) | {"body": body}, option=orjson.OPT_INDENT_2))


@deliveries.command()
@click.argument("delivery_ids", metavar="DELIVERY...", nargs=-1)
@click.option("--since", type=Moment(), help="All that failed since then: 2h, 3d, or ISO 8601.")
@ENDPOINT
@click.pass_context
def replay(context: click.Context, delivery_ids: Sequence[str], since: float | None, endpoint: str | None) -> None:
    """Send failed deliveries again, with all their tries and under their old ids.

    Exit code 1 when one of them cannot be; the others are sent all the same.
    """
    if bool(delivery_ids) == (since is not None):
        raise click.UsageError("Name the deliveries, or say --since.")
    refused = 0
    with opened_outbox() as outbox:
        if since is not None:
            # Asked once: what is replayed may have failed again before the last is.
            delivery_ids = [each.id for each in outbox.failed_deliveries(since=since, endpoint=endpoint, limit=ALL)]
        for delivery_id in delivery_ids:
            try:
                outbox.replay_delivery(delivery_id)
            except (NotFound, Conflict) as exc:
                refused += 1
                click.echo(f"error: {delivery_id}: {exc}", err=True)
    _ring()
    click.echo(f"{len(delivery_ids) - refused} deliveries wait for their endpoints again.")
    context.exit(1 if refused else 0)


def _ring() -> None:
    with closing(CeleryDoorbell(Settings.read().redis_url)) as doorbell, suppress(Unavailable):
        # One begins, and rings for the next; where this is lost, the sweeper rings.
        doorbell.ring(*DELIVERY_BELL)


def _fields(delivery: Delivery) -> dict[str, Any]:
    return {name: value for name, value in asdict(delivery).items() if name != "body" and value is not None}
