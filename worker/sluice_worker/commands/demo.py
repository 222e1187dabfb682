"""`sluice demo`: documents in, knowledge out, with everything that a real installation has, on this machine."""

import base64
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click
import orjson

from sluice_worker.client import client
from sluice_worker.demo import report
from sluice_worker.demo.receiver import Inbox, receiving
from sluice_worker.process import stack
from sluice_worker.process.logs import configure

ENDPOINT = "demo"
WEBHOOKS_S = 30.0


@click.command()
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".build/demo"),
    show_default=True,
    help="Results, the page and all logs.",
)
def demo(folder: Path) -> None:
    """See it work: 45 documents through the whole system.

    A Redis, a worker and signed webhooks start on this machine and stop at the end; then there is a page to look at.
    """
    configure("WARNING")
    stack.end_like_interrupt()
    folder = folder.resolve()
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    try:
        with stack.alone(folder), receiving(secret) as inbox:
            _clear(folder)
            _run(folder, inbox, _environment(inbox, secret))
    except KeyboardInterrupt:
        click.echo("Stopped; nothing is left running.")
        sys.exit(130)


def _clear(folder: Path) -> None:
    """Removes what an earlier demo made, and nothing else: the folder may be anybody's."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    for name in ("results.jsonl", "index.html"):
        (folder / name).unlink(missing_ok=True)


def _environment(inbox: Inbox, secret: str) -> dict[str, str]:
    """This process's environment, with the demo's own endpoint."""
    endpoints = {ENDPOINT: {"url": inbox.url, "allow_http": True}}
    named = {"SLUICE_ENDPOINTS": orjson.dumps(endpoints).decode(), f"SLUICE_SECRET_{ENDPOINT.upper()}": secret}
    return {**os.environ, **named}


def _run(folder: Path, inbox: Inbox, environment: Mapping[str, str]) -> None:
    click.echo("Starting Redis, a worker and the webhook process ...")
    results = folder / "results.jsonl"
    with stack.running(folder / "run", redis_url=None, environment=environment) as running:
        started = time.monotonic()
        _sluice("--redis", running.redis_url, "submit", str(report.DOCUMENTS), "--wait", "--out", str(results),
                "--endpoint", ENDPOINT, "--schema", "news/entities-en@1")  # fmt: skip
        seconds = time.monotonic() - started
        extractions = report.read(results)
        _await_webhooks(inbox, len(extractions))
    _sluice("view", str(results), "--html", str(folder / "index.html"))
    made = report.make(extractions, seconds=seconds, webhooks=len(inbox.events))
    (folder.parent / "demo.json").write_bytes(made.as_json())
    _tell(made)


def _sluice(*arguments: str) -> None:
    """Runs a command as a user would; a failure ends the demo with its exit code."""
    if code := client(*arguments):
        raise click.exceptions.Exit(code)


def _await_webhooks(inbox: Inbox, expected: int) -> None:
    deadline = time.monotonic() + WEBHOOKS_S
    while len(inbox.events) < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    if len(inbox.events) < expected or inbox.refused:
        raise click.ClickException(
            f"{len(inbox.events)} of {expected} webhooks arrived, {inbox.refused} were refused; see run/deliver.log."
        )


def _tell(made: report.Report) -> None:
    click.echo(
        f"{made.documents} documents in {made.seconds:.1f} s ({made.documents_per_s:.1f} a second);\n"
        f"{made.outside_share:.1%} of the workers' time was spent outside the engine.\n"
        f"{made.webhooks} signed webhooks arrived and were verified.\n"
        "Strict F1 against the documents' gold:"
    )
    for name, value in made.f1.items():
        click.echo(f"  {name:<20} {value:.2f}")
