"""`sluice submit`: a file or a stream of documents in, jobs or results out."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, get_args

import click

from sluice_producer.cli.intake import Reader, Wishes, jsonl, plain_text
from sluice_producer.cli.progress import screen_for
from sluice_producer.cli.results_file import ResultsFile
from sluice_producer.cli.session import Session, pass_session
from sluice_producer.cli.submission import Harvest, Report, Results, StandardOutput, send
from sluice_schemas.errors import BadInput, SluiceError
from sluice_schemas.job import Priority

READERS: dict[str, Reader] = {"jsonl": jsonl, "text": plain_text}


@click.command()
@click.argument("source", metavar="FILE", type=click.File("rb"))
@click.option("--schema", required=True, metavar="ID", help="What to extract, as id@version.")
@click.option("--wait", is_flag=True, help="Wait for the results and print them.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Wait for the results and append them here; those it holds are kept.",
)
@click.option("--format", "form", type=click.Choice(list(READERS)), help="Default: by the file's name, see above.")
@click.option("--field", default="text", show_default=True, metavar="NAME", help="The JSON field that holds the text.")
@click.option("--language", type=click.Choice(["auto", "zh", "en"]), default="auto", show_default=True)
@click.option("--priority", type=click.Choice(get_args(Priority)), default="bulk", show_default=True)
@click.option("--tenant", default="default", show_default=True, metavar="NAME")
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME", help="Send results there; may be repeated.")
@click.option("--reviewable", is_flag=True, help="Keep each document as long as its result, for reviewers.")
@click.option(
    "--window",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="N",
    help="At most so many documents in flight while waiting.",
)
@pass_session
def submit(session: Session, /, source: BinaryIO, **given: Any) -> None:
    """Submit the documents in FILE; `-` reads standard input.

    FILE is JSON Lines, each line an object with "text" and, if you like, "id", "language", "metadata", "source", and
    "schema" where it differs from --schema. A FILE named *.txt is one document of plain text.

    Prints a job a line; with --wait or --out the results instead. A line that is wrong is named, and the others go
    on. Given again after an interruption, the same command submits nothing twice.
    """
    options: Any = {name: given[name] for name in ("language", "priority", "tenant", "endpoints", "reviewable")}
    wishes = Wishes(given["schema"], given["field"], options)
    read = READERS[given["form"] or ("text" if _name(source).lower().endswith(".txt") else "jsonl")]
    with session.client() as client, _results(source, **given) as results:
        client.schema(wishes.schema)
        with screen_for(is_stdout_used=given["out"] is None) as screen:
            report = Report(screen, _read_share(source))
            run = partial(send, client) if results is None else Harvest(client, results, window=given["window"]).run
            _run(partial(run, read(source, wishes), report), report)
    if report.tally.bad or report.tally.failed:
        click.get_current_context().exit(1)


def _run(work: Callable[[], None], report: Report) -> None:
    try:
        work()
    except SluiceError:
        report.screen.say(str(report.tally))
        raise
    report.screen.say(str(report.tally))


@contextmanager
def _results(source: BinaryIO, *, out: Path | None, wait: bool, **_: object) -> Iterator[Results | None]:
    """Where results go; None when nobody waits for them."""
    if out is None:
        yield StandardOutput() if wait else None
        return
    if out.exists() and not out.is_file():
        raise BadInput(f"{out} is no regular file; results cannot be kept there. Use --wait for standard output.")
    if out.exists() and Path(_name(source)).exists() and out.samefile(_name(source)):
        raise BadInput(f"{out} is the input itself; give another --out.")
    with ResultsFile(out) as results:
        yield results


def _name(source: BinaryIO) -> str:
    return str(getattr(source, "name", "<stdin>"))


def _read_share(source: BinaryIO) -> Callable[[], float | None]:
    """Tells how much of the input is read, 0..1; None where it has no size, as a pipe."""
    if not source.seekable():
        return lambda: None
    start = source.tell()
    size_bytes = source.seek(0, os.SEEK_END) - start
    source.seek(start)
    return lambda: (source.tell() - start) / size_bytes if size_bytes else 1.0
