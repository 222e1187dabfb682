"""Commands for ops: one process of the system, or all of them on this machine."""

import os
import signal
import sys
import time
from pathlib import Path

import click

from sluice_worker.process.logs import configure
from sluice_worker.settings import Settings

READY_FILE = click.option(
    "--ready-file", type=click.Path(path_type=Path), help="Write this file once the process takes work."
)


@click.command()
@READY_FILE
def worker(ready_file: Path | None) -> None:
    """Extract: one engine on one device, set by SLUICE_* variables."""
    settings = Settings.read()
    configure(settings.log_level)
    from sluice_worker.process import extractor

    sys.exit(extractor.run(settings, ready_file=ready_file))


@click.command()
@READY_FILE
def deliver(ready_file: Path | None) -> None:
    """Deliver results as signed webhooks. Needs no GPU."""
    settings = Settings.read()
    configure(settings.log_level)
    from sluice_worker.process import deliverer

    sys.exit(deliverer.run(settings, ready_file=ready_file))


@click.command()
@click.option("--redis", "redis_url", help="Use this Redis instead of starting one from the wheel.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path(".sluice"),
    show_default=True,
    help="Data and logs.",
)
def up(redis_url: str | None, folder: Path) -> None:
    """Run everything on this machine: Redis, a worker, webhooks. Ctrl-C stops it."""
    configure("INFO")
    from sluice_worker.process import stack

    # A supervisor's SIGTERM is answered like Ctrl-C: in the order in which things must stop.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with stack.running(folder.resolve(), redis_url=redis_url, environment=os.environ) as running:
            click.echo(f"Sluice is up. In another terminal:\n\n  export SLUICE_REDIS_URL={running.redis_url}")
            click.echo(
                "  echo 'Ada Lovelace was born in London.' | sluice submit - --schema news/entities-en@1 --wait\n"
            )
            while (dead := running.dead()) is None:
                time.sleep(0.5)
            raise click.ClickException(f"The {dead.name} process ended by itself; its log is in {folder}.")
    except KeyboardInterrupt:
        click.echo("Stopped.")
