"""Prints for people in a terminal, and one JSON object a line for programs."""

import sys
from datetime import datetime

import click
import orjson
from rich.console import Console
from rich.table import Table

from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job
from sluice_schemas.printable import printable


def console() -> Console:
    """stdout, with nothing in a text taken for markup."""
    return Console(markup=False, emoji=False, highlight=False)


def show_job(job: Job) -> None:
    if not sys.stdout.isatty():
        click.echo(job.encode())
        return
    rows = Table.grid(padding=(0, 2))
    for name, value in job.model_dump(exclude_none=True).items():
        if value not in ((), ""):
            rows.add_row(name, printable(_for_people(name, value)))
    console().print(rows)


def show_extraction(extraction: Extraction) -> None:
    encoded = extraction.encode()
    if sys.stdout.isatty():
        encoded = orjson.dumps(orjson.loads(encoded), option=orjson.OPT_INDENT_2)
    click.echo(encoded)


def _for_people(name: str, value: object) -> str:
    if isinstance(value, float) and name in ("accepted_at", "ended_at", "deadline"):
        return datetime.fromtimestamp(value).astimezone().isoformat(sep=" ", timespec="seconds")
    return ", ".join(value) if isinstance(value, tuple) else str(value)
