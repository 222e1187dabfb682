"""`sluice dead`: documents that could not be processed, why, and what to do with them."""

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime

import click
import orjson
from rich.console import Console
from rich.table import Table

from sluice_schemas.errors import NotFound, Unavailable
from sluice_schemas.ledger import WorkerLedger
from sluice_schemas.printable import printable
from sluice_schemas.queues import JOB_BELL, CeleryDoorbell
from sluice_worker.commands.ledger import opened
from sluice_worker.settings import Settings

JOBS = click.argument("job_ids", metavar="JOB...", nargs=-1)


@click.group()
def dead() -> None:
    """Look at dead letters, queue them again, or drop them.

    A document is dead when its tries are spent, or at once when trying again cannot help. It is kept, with the reason,
    the traceback and the raw output, as long as results are (SLUICE_RESULT_TTL_S).
    """


@dead.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The latest N.")
def list_letters(limit: int) -> None:
    """List dead letters, the latest first; one JSON object a line where standard output is no terminal."""
    with opened() as ledger:
        found = ledger.dead_letters(limit)
    if not sys.stdout.isatty():
        for job in found:
            click.echo(job.encode())
        return
    if not found:
        click.echo("No dead letters.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("job", "died", "tries"):
        table.add_column(name, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for job in found:
        died = datetime.fromtimestamp(job.ended_at or 0).astimezone().strftime("%m-%d %H:%M")
        table.add_row(job.id, died, str(job.attempts), printable(job.reason or ""))
    Console(markup=False, emoji=False, highlight=False).print(table)


@dead.command()
@click.argument("job_id", metavar="JOB")
def show(job_id: str) -> None:
    """Print a dead letter with all its evidence as JSON; traceback and raw output may quote the document."""
    with opened() as ledger:
        letter = ledger.dead_letter(job_id)
    evidence = {"traceback": letter.traceback, "raw": letter.raw}
    told = {**letter.job.model_dump(mode="json", exclude_none=True), **evidence}
    click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))


@dead.command()
@JOBS
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
@click.pass_context
def replay(context: click.Context, job_ids: tuple[str, ...], is_all: bool) -> None:
    """Queue dead documents again, with all their tries, in the class `replay`.

    Exit code 1 when one of them is no dead letter; the others are queued all the same.
    """
    with closing(CeleryDoorbell(Settings.read().redis_url)) as doorbell:

        def again(ledger: WorkerLedger, job_id: str) -> str:
            ledger.replay(job_id)
            try:
                doorbell.ring(*JOB_BELL)
            except Unavailable:
                return "queued; its doorbell did not ring, the sweeper will"
            return "queued"

        context.exit(_for_each(job_ids, again, is_all=is_all))


@dead.command()
@JOBS
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
@click.confirmation_option("--yes", prompt="Documents and evidence are deleted for good. Go on?")
@click.pass_context
def drop(context: click.Context, job_ids: tuple[str, ...], is_all: bool) -> None:
    """Delete dead documents and their evidence for good; the jobs stay dead.

    Exit code 1 when one of them is no dead letter; the others are dropped all the same.
    """

    def gone(ledger: WorkerLedger, job_id: str) -> str:
        ledger.drop(job_id)
        return "dropped"

    context.exit(_for_each(job_ids, gone, is_all=is_all))


def _for_each(job_ids: Sequence[str], act: Callable[[WorkerLedger, str], str], *, is_all: bool) -> int:
    """Says what became of each job. Returns the exit code."""
    if bool(job_ids) == is_all:
        raise click.UsageError("Name the jobs, or say --all.")
    missing = 0
    with opened() as ledger:
        # Asked once: what is replayed may be dead again before the last is.
        for job_id in [job.id for job in ledger.dead_letters(max(1, ledger.counts().dead))] if is_all else job_ids:
            try:
                click.echo(f"{job_id} {act(ledger, job_id)}")
            except NotFound as exc:
                missing = 1
                click.echo(f"error: {exc}", err=True)
    return missing
