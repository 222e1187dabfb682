"""`sluice demo`: documents in, knowledge out, with everything that a real installation has, on this machine."""

import os
import shutil
import sys
import time
from contextlib import closing
from pathlib import Path

import click

from sluice_schemas.ledger import connect
from sluice_worker.client import client
from sluice_worker.demo import report
from sluice_worker.ledger import RedisOutbox
from sluice_worker.process import knowledge, stack
from sluice_worker.process.logs import configure

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
@click.option("--keep", is_flag=True, help="Leave everything running at the end, to look at the knowledge base.")
def demo(folder: Path, keep: bool) -> None:
    """See it work: 45 documents into a knowledge base.

    A Redis, a worker, signed webhooks and a knowledge base start on this machine and stop at the end; then there is a
    page to look at.
    """
    configure("WARNING")
    stack.end_like_interrupt()
    folder = folder.resolve()
    try:
        with stack.alone(folder):
            _clear(folder)
            _run(folder, keep=keep)
    except KeyboardInterrupt:
        click.echo("Stopped; nothing is left running.")
        sys.exit(130)


def _clear(folder: Path) -> None:
    """Removes what an earlier demo made, and nothing else: the folder may be anybody's."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    for name in ("results.jsonl", "index.html"):
        (folder / name).unlink(missing_ok=True)


def _run(folder: Path, *, keep: bool) -> None:
    click.echo("Starting Redis, a worker, the webhook process and a knowledge base ...")
    results = folder / "results.jsonl"
    with stack.running(folder / "run", redis_url=None, environment=os.environ, knowledge_port=0) as running:
        started = time.monotonic()
        _sluice("--redis", running.redis_url, "submit", str(report.DOCUMENTS), "--wait", "--out", str(results),
                "--endpoint", knowledge.NAME, "--schema", "news/entities-en@1")  # fmt: skip
        seconds = time.monotonic() - started
        extractions = report.read(results)
        webhooks = _await_webhooks(running, len(extractions))
        _sluice("view", str(results), "--html", str(folder / "index.html"))
        held = report.held(str(running.knowledge_url))
        made = report.make(extractions, seconds=seconds, webhooks=webhooks, held=held)
        (folder.parent / "demo.json").write_bytes(made.as_json())
        _tell(made)
        if keep:
            _wait(running)
    if not keep:
        click.echo("`sluice demo --keep` leaves it running, to look at the knowledge base.")


def _sluice(*arguments: str) -> None:
    """Runs a command as a user would; a failure ends the demo with its exit code."""
    if code := client(*arguments):
        raise click.exceptions.Exit(code)


def _await_webhooks(running: stack.Stack, expected: int) -> int:
    """How many the knowledge base took: all that were expected, or the demo has failed."""
    deadline = time.monotonic() + WEBHOOKS_S
    with closing(connect(running.redis_url)) as redis:
        outbox = RedisOutbox(redis)
        while (status := outbox.endpoint(knowledge.NAME)).delivered < expected and time.monotonic() < deadline:
            time.sleep(0.05)
    if status.delivered < expected or status.failed:
        raise click.ClickException(
            f"{status.delivered} of {expected} webhooks were taken, {status.failed} failed; see run/deliver.log and "
            f"run/{knowledge.NAME}.log."
        )
    return status.delivered


def _tell(made: report.Report) -> None:
    click.echo(
        f"{made.documents} documents in {made.seconds:.1f} s ({made.documents_per_s:.1f} a second);\n"
        f"{made.outside_share:.1%} of the workers' time was spent outside the engine.\n"
        f"{made.webhooks} events were delivered by signed webhooks.\n"
        f"The knowledge base holds {made.held['entities']} entities, {made.held['facts']} facts and "
        f"{made.held['events']} events of {made.held['documents']} documents.\n"
        "Strict F1 against the documents' gold:"
    )
    for name, value in made.f1.items():
        click.echo(f"  {name:<20} {value:.2f}")


def _wait(running: stack.Stack) -> None:
    click.echo(f"\nThe knowledge base is at {running.knowledge_url} ; Ctrl-C stops everything.")
    while (dead := running.dead()) is None:
        time.sleep(0.5)
    raise click.ClickException(f"The {dead.name} process ended by itself; its log is in the demo's folder, under run.")
