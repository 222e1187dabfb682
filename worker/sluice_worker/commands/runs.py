"""`sluice retrain` and `sluice runs`: begin a training run, and see how runs go."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table

from sluice_schemas import shelf
from sluice_schemas.errors import Unavailable
from sluice_schemas.ledger import connect
from sluice_schemas.printable import printable
from sluice_schemas.queues import TRAIN_BELL, CeleryDoorbell
from sluice_worker.settings import Settings

if TYPE_CHECKING:
    from sluice_worker.learning.run import Run
    from sluice_worker.learning.run_store import RunStore

LOOK_EVERY_S = 0.5
RUN = click.argument("run_id", metavar="RUN")
ENDED_WELL = ("promoted", "rejected")


@click.command()
@click.option("--scope", default="*", show_default=True, help="A schema's id@version, or * for the labels of all.")
@click.option("--full", "is_full", is_flag=True, help="From the base model, on all labels; else from what serves.")
@click.option("--wait", is_flag=True, help="Follow the run to its end.")
@click.pass_context
def retrain(context: click.Context, scope: str, is_full: bool, wait: bool) -> None:
    """Queue a training run now; a trainer (`sluice trainer`) takes it.

    The better adapter is promoted by itself, a worse one rejected with the reasons. Exit code 1 when --wait saw the
    run fail.
    """
    settings = Settings.read()
    _demand_schema(scope, settings)
    with _opened(settings) as runs:
        run = runs.create(scope, cause="asked", is_full=is_full)
        click.echo(f"{run.id} queued")
        doorbell = CeleryDoorbell(settings.redis_url, "train")
        try:
            doorbell.ring(*TRAIN_BELL)
        except Unavailable:
            click.echo("Its doorbell did not ring; a trainer finds it within half a minute.", err=True)
        finally:
            doorbell.close()
        if wait:
            context.exit(_follow(runs, run.id))


@click.group()
def runs() -> None:
    """See training runs: their steps, what they say, how they ended."""


@runs.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="The latest N.")
def list_runs(limit: int) -> None:
    """List runs, the latest first; one JSON object a line where standard output is no terminal."""
    with _opened(Settings.read()) as store:
        found = store.latest(limit)
    if not sys.stdout.isatty():
        for run in found:
            click.echo(orjson.dumps(asdict(run)))
        return
    if not found:
        click.echo("No runs yet; `sluice retrain` queues one.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("run", "scope", "why", "state", "took"):
        table.add_column(heading, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for run in found:
        table.add_row(run.id, printable(run.scope), run.cause, _state(run), _took(run), printable(run.reason))
    Console(markup=False, emoji=False, highlight=False).print(table)


@runs.command()
@RUN
@click.option("--json", "as_json", is_flag=True, help="All that is known, as JSON.")
def show(run_id: str, as_json: bool) -> None:
    """Show one run, step by step."""
    with _opened(Settings.read()) as store:
        run = store.get(run_id)
    if as_json:
        click.echo(orjson.dumps(asdict(run), option=orjson.OPT_INDENT_2))
        return
    click.echo(f"{run.id}  {run.scope}  {_state(run)}  begun {run.attempts} times, because: {run.cause}")
    for name, value in (("snapshot", run.snapshot), ("adapter", run.adapter), ("reason", run.reason)):
        if value:
            click.echo(f"  {name:<9} {printable(value)}")
    for step in run.steps:
        ended = step.ended_at or time.time()
        state = "done" if step.is_done else f"{step.share:.0%}"
        click.echo(f"  {step.name:<9} {state:<5} {ended - (step.started_at or ended):>7.1f} s  {_told(step.detail)}")


@runs.command()
@RUN
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@click.pass_context
def log(context: click.Context, run_id: str, follow: bool) -> None:
    """Print what a run says; with --follow also how far its step is."""
    with _opened(Settings.read()) as store:
        store.get(run_id)
        if follow:
            context.exit(_follow(store, run_id))
        for line in store.lines(run_id):
            click.echo(_line(line.at, line.text))


@runs.command()
@RUN
def cancel(run_id: str) -> None:
    """End a run that has not ended; its trainer stops within a quarter of a minute."""
    with _opened(Settings.read()) as store:
        run = store.cancel(run_id)
    click.echo(f"{run.id} {run.state}")


@contextmanager
def _opened(settings: Settings) -> Iterator["RunStore"]:
    from sluice_schemas.sql import database
    from sluice_worker.learning.run_store import RunStore

    engine = database.connect(settings.labels_url)
    try:
        yield RunStore(engine)
    finally:
        engine.dispose()


def _demand_schema(scope: str, settings: Settings) -> None:
    if scope == "*" or scope in shelf.library():
        return
    from sluice_schemas.catalogue import Catalogue
    from sluice_worker.ledger import RedisLedger

    Catalogue(RedisLedger(connect(settings.redis_url))).find(scope)


def _follow(store: "RunStore", run_id: str) -> int:
    """Prints lines as they come, under them a bar. The exit code."""
    seen = 0
    columns = (TextColumn("{task.description:<9}"), BarColumn(), TaskProgressColumn())
    console = Console(markup=False, emoji=False, highlight=False)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("queued", total=1.0)
        while True:
            run = store.get(run_id)
            for line in store.lines(run_id, after=seen):
                seen = line.number
                bar.console.print(_line(line.at, printable(line.text)))
            if not run.is_active:
                return 0 if run.state in ENDED_WELL else 1
            _move(bar, task, run)
            time.sleep(LOOK_EVERY_S)


def _move(bar: Progress, task: TaskID, run: "Run") -> None:
    step = run.at
    bar.update(task, description=step.name if step else run.state, completed=step.share if step else 0.0)


def _line(at: float, text: str) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S}  {text}"


def _state(run: "Run") -> str:
    step = run.at
    return f"{step.name} {step.share:.0%}" if run.state == "running" and step else run.state


def _took(run: "Run") -> str:
    if run.started_at is None:
        return "-"
    seconds = (run.ended_at or time.time()) - run.started_at
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _told(detail: dict[str, object]) -> str:
    """The plain values of a step's detail, for one line."""
    plain = {name: value for name, value in detail.items() if isinstance(value, int | float | str | bool)}
    return printable(", ".join(f"{name} {value}" for name, value in plain.items()))
