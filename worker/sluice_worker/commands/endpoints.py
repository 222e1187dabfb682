"""`sluice endpoints`: where webhooks go, how each place is doing, and whether it answers."""

import os
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Any, get_args

import click
import orjson
from rich.console import Console
from rich.table import Table

from sluice_schemas.endpoint import MAX_BATCH, Endpoint, EndpointStatus
from sluice_schemas.errors import Misconfigured
from sluice_schemas.event import EventType, Notice
from sluice_schemas.printable import printable
from sluice_worker.commands.ledger import opened_outbox
from sluice_worker.settings import Settings

NAME = click.argument("name")


@click.group()
def endpoints() -> None:
    """Register where webhooks go, and look how it goes.

    Jobs and schemas name endpoints, and never a URL. The signing secret is not registered: it is SLUICE_SECRET_<NAME>
    in the environment of `sluice deliver`.
    """


@endpoints.command()
@NAME
@click.argument("url")
@click.option(
    "--event", "events", multiple=True, type=click.Choice(get_args(EventType)), help="Only these; repeatable."
)
@click.option("--schema", "schemas", multiple=True, metavar="ID[@VERSION]", help="Only of these; repeatable.")
@click.option("--rate", "rate_per_s", type=float, metavar="N", help="Begin at most N posts a second.")
@click.option(
    "--batch", type=int, default=1, show_default=True, help=f"Up to so many events in a post, {MAX_BATCH} at most."
)
@click.option("--concurrency", type=int, default=4, show_default=True, help="Posts under way at once.")
@click.option("--linked-data/--no-linked-data", default=True, show_default=True, help="Send the facts as JSON-LD too.")
@click.option("--allow-http", is_flag=True, help="Let the URL be plain http, which anybody on the way can read.")
@click.option("--replace", is_flag=True, help="Change the endpoint of that name.")
def add(name: str, url: str, events: tuple[str, ...], replace: bool, **options: Any) -> None:
    """Register the endpoint NAME at URL."""
    wanted = {"name": name, "url": url, **options, **({"events": events} if events else {})}
    endpoint = Endpoint.of(wanted)
    with opened_outbox() as outbox:
        outbox.add_endpoint(endpoint, replace=replace)
    click.echo(f"{name} is registered.")
    try:
        _secrets(name)
    except Misconfigured as exc:
        click.echo(f"note: {exc}", err=True)


@endpoints.command("list")
def list_endpoints() -> None:
    """Show all endpoints and how they are doing.

    One JSON object a line where standard output is no terminal.
    """
    with opened_outbox() as outbox:
        found = outbox.endpoints()
    if not sys.stdout.isatty():
        for each in found:
            click.echo(orjson.dumps(each.model_dump(mode="json", exclude_none=True)))
        return
    if not found:
        click.echo("No endpoints. `sluice endpoints add NAME URL` registers one.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("endpoint", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("waiting", "delivered", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("says", overflow="fold")
    for each in found:
        counts = (f"{count:,}" for count in (each.waiting, each.delivered, each.failed))
        table.add_row(each.endpoint.name, _state(each), *counts, printable(each.reason))
    Console(markup=False, emoji=False, highlight=False).print(table)


@endpoints.command()
@NAME
@click.pass_context
def test(context: click.Context, name: str) -> None:
    """Post a signed `endpoint.test` to NAME from here.

    As `sluice deliver` would. Exit code 1 when it is not taken.
    """
    from sluice_worker.delivery.courier import send
    from sluice_worker.delivery.outbound import make_client
    from sluice_worker.delivery.parcel import Parcel
    from sluice_worker.delivery.signing import headers

    settings = Settings.read()
    with opened_outbox() as outbox:
        endpoint = outbox.endpoint(name).endpoint
    notice = Notice(type="endpoint.test", timestamp=datetime.now(UTC).isoformat(), endpoint=name)
    parcel = Parcel(f"msg_{secrets.token_hex(16)}", notice.encode())
    signed = headers(parcel.id, parcel.body, _secrets(name))
    started = time.monotonic()
    with make_client(timeout_s=settings.delivery_timeout_s, networks=settings.delivery_networks) as client:
        receipt = send(client, endpoint, parcel, signed)
    took_ms = (time.monotonic() - started) * 1000
    if receipt.result == "delivered":
        click.echo(f"{name} took it, in {took_ms:.0f} ms.")
        return
    click.echo(f"error: {name} did not take it ({took_ms:.0f} ms): {receipt.reason}", err=True)
    context.exit(1)


@endpoints.command()
@NAME
def pause(name: str) -> None:
    """Post nothing to NAME until it is resumed; what is for it waits."""
    with opened_outbox() as outbox:
        outbox.pause_endpoint(name)
    click.echo(f"{name} is paused.")


@endpoints.command()
@NAME
def resume(name: str) -> None:
    """Post to NAME again, after a pause or after it was disabled.

    What failed while it was disabled comes back with `sluice deliveries replay --since`.
    """
    with opened_outbox() as outbox:
        outbox.resume_endpoint(name)
    click.echo(f"{name} is active.")


@endpoints.command()
@NAME
@click.option("--force", is_flag=True, help="Even while deliveries wait for it: they fail.")
def remove(name: str, force: bool) -> None:
    """Forget NAME. Jobs that name it are refused from then on."""
    with opened_outbox() as outbox:
        outbox.remove_endpoint(name, force=force)
    click.echo(f"{name} is removed.")


def _secrets(name: str) -> Any:
    from sluice_worker.delivery.signing import Secrets

    return Secrets(os.environ).of(name)


def _state(status: EndpointStatus) -> str:
    if status.state == "active" and (status.open_until or 0.0) > time.time():
        return f"left alone for {(status.open_until or 0.0) - time.time():.0f} s"
    return f"{status.failures} failures" if status.state == "active" and status.failures else status.state
