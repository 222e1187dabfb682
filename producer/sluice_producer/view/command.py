"""`sluice view`: results for people, in the terminal and as a page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console

from sluice_producer.view import page, table
from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Extraction


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no result: its number, counted from 1, and what is wrong with it."""

    number: int
    fault: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.fault}"


def read(lines: Iterable[bytes]) -> Iterator[Extraction | BadLine]:
    """One result a line; empty lines are passed over, a bad one is told and the rest goes on."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield Extraction.decode(line)
        except BadInput as exc:
            yield BadLine(number, str(exc))


@click.command("view")
@click.argument("results", type=click.File("rb"), metavar="RESULTS.jsonl")
@click.option(
    "--html",
    "target",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Also write one self-contained page with the values marked in the text.",
)
@click.pass_context
def view(context: click.Context, results: BinaryIO, target: Path | None) -> None:
    """Show results: a table here, and a page with --html.

    RESULTS.jsonl has one result a line, as `sluice submit --out` writes them; `-` reads standard input. Lines that
    cannot be read are named, the rest is shown, and the exit code is then 1.
    """
    rows = list(read(results))
    extractions = [row for row in rows if isinstance(row, Extraction)]
    bad = [str(row) for row in rows if isinstance(row, BadLine)]
    console = Console(markup=False, emoji=False, highlight=False)
    table.show(console, extractions)
    if target is not None:
        _write(target, page.render(extractions, unread=bad))
        click.echo(f"The page is {target}; open it in a browser.")
    for fault in bad:
        click.echo(table.plain(fault), err=True)
    if bad:
        context.exit(1)


def _write(target: Path, html: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html, encoding="utf-8", newline="")
    except OSError as exc:
        raise click.FileError(str(target), hint=exc.strerror) from exc
