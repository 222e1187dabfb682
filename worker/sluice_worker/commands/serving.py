"""Commands for ops: one process of the system, or all of them on this machine."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sluice_schemas.errors import Misconfigured
from sluice_schemas.redis_access import masked
from sluice_worker.process.logs import configure
from sluice_worker.settings import Settings

if TYPE_CHECKING:
    from sluice_worker.process.stack import Stack

UP = """\
Sluice is up; Ctrl-C stops it. In another terminal:

  export SLUICE_REDIS_URL={url}
  echo 'Ada Lovelace was born in London.' |
    sluice submit - --format text --schema news/entities-en@1 --wait
"""
KNOWLEDGE_HELP = "Run a knowledge base too, the endpoint `knowledge`, on PORT (8090, say; 0 takes a free one)."
READY_FILE = click.option(
    "--ready-file", type=click.Path(path_type=Path), help="Write this file once the process takes work."
)


class Unfit(click.ClickException):
    """Starting again is of no use before a setting is changed: EX_CONFIG of sysexits.h tells supervisors so."""

    exit_code = 78

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", err=True)


@contextmanager
def _fitness() -> Iterator[None]:
    try:
        yield
    except Misconfigured as exc:
        raise Unfit(str(exc)) from exc


@click.command()
@READY_FILE
def worker(ready_file: Path | None) -> None:
    """Extract: one engine on one device, set by SLUICE_* variables.

    Exit codes: 0 told to stop; 78 a setting is wrong; 81 the engine died; 82 told to stop, and gave back what was not
    done within SLUICE_GRACE_S; 83 the engine answered nothing for SLUICE_STUCK_S; 84 no doorbell was heard for
    SLUICE_DEAF_S; else 1.
    """
    with _fitness():
        settings = Settings.read()
        configure(settings.log_level)
        from sluice_worker.process import extractor

        sys.exit(extractor.run(settings, ready_file=ready_file))


@click.command()
@READY_FILE
def deliver(ready_file: Path | None) -> None:
    """Deliver results as signed webhooks. Needs no GPU. Exit codes as of `sluice worker`."""
    with _fitness():
        settings = Settings.read()
        configure(settings.log_level)
        from sluice_worker.process import deliverer

        sys.exit(deliverer.run(settings, ready_file=ready_file))


@click.command()
@READY_FILE
def trainer(ready_file: Path | None) -> None:
    """Train: take runs (`sluice retrain`, or those that are due), one at a time, on one device.

    Exit codes as of `sluice worker`; a run that was not done is given back and goes on from its checkpoint.
    """
    with _fitness():
        settings = Settings.read()
        configure(settings.log_level)
        from sluice_worker.process import trainer as process

        sys.exit(process.run(settings, ready_file=ready_file))


@click.command()
@READY_FILE
def beat(ready_file: Path | None) -> None:
    """Remind the trainers every SLUICE_BEAT_EVERY_S to look whether a run is due. Two of them do no harm."""
    with _fitness():
        settings = Settings.read()
        configure(settings.log_level)
        from sluice_worker.process import beat as process

        sys.exit(process.run(settings, ready_file=ready_file))


@click.command()
@click.option("--redis", "redis_url", help="Use this Redis instead of starting one from the wheel.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".sluice"),
    show_default=True,
    help="Data and logs.",
)
@click.option("--knowledge", "knowledge_port", type=click.IntRange(0, 65535), metavar="PORT", help=KNOWLEDGE_HELP)
@click.option("--train", "learns", is_flag=True, help="Run a trainer too: labels become better adapters.")
def up(redis_url: str | None, folder: Path, knowledge_port: int | None, learns: bool) -> None:
    """Run everything on this machine: Redis, a worker, webhooks. Ctrl-C stops it."""
    configure("INFO")
    from sluice_worker.process import stack

    stack.end_like_interrupt()
    click.echo(f"Data and logs: {folder}\nStarting a worker and the webhook process ...")
    try:
        with stack.running(
            folder.resolve(),
            redis_url=redis_url,
            environment=os.environ,
            roles={**stack.ROLES, **stack.LEARNING} if learns else stack.ROLES,
            knowledge_port=knowledge_port,
        ) as running:
            click.echo(UP.format(url=masked(running.redis_url)))
            if running.knowledge_url:
                click.echo(f"The knowledge base, for `submit --endpoint knowledge`, is at {running.knowledge_url}")
            if learns:
                click.echo(f"Labels: export SLUICE_LABELS_URL={running.labels_url}")
            try:
                _watch(running, folder)
            finally:
                click.echo("Stopping; what runs may finish. Ctrl-C again kills it.")
    except KeyboardInterrupt:
        click.echo("Stopped.")


def _watch(running: "Stack", folder: Path) -> None:
    while (dead := running.dead()) is None:
        time.sleep(0.5)
    raise click.ClickException(f"The {dead.name} process ended by itself; its log is in {folder}.")
