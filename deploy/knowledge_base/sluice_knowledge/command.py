"""`sluice knowledge`: run a knowledge base, and ask it."""

import os
import sys
from pathlib import Path
from typing import Any

import click
import httpx
import orjson
from rich.console import Console
from rich.table import Table

from sluice_knowledge.guard import LOOPBACK
from sluice_schemas.errors import Misconfigured, SluiceError
from sluice_schemas.printable import printable

PORT = 8090
URL = f"http://127.0.0.1:{PORT}"
PATIENCE_S = 30.0


class Unfit(click.ClickException):
    """Starting again is of no use before a setting is changed: EX_CONFIG of sysexits.h tells supervisors so."""

    exit_code = 78

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", err=True)


@click.group()
def knowledge() -> None:
    """Keep what documents say as a graph that can show its evidence."""


@knowledge.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".sluice/knowledge"),
    show_default=True,
    help="The graph.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen here. Whoever gets through may read all.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one.")
@click.option("--allowed-host", "allowed_hosts", multiple=True, metavar="NAME", help="Also answer under this name.")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Write the URL into this file once it serves.")
def serve(folder: Path, host: str, port: int, allowed_hosts: tuple[str, ...], ready_file: Path | None) -> None:
    """Take signed webhooks on /webhooks, and show what they say.

    Settings, read from the environment: SLUICE_KNOWLEDGE_SECRET, the secret of the sender, or two while it is changed;
    SLUICE_KNOWLEDGE_LINKS, the URL with which links to large events begin.

    Exit codes: 0 told to stop; 78 a setting is wrong; else 1.
    """
    from sluice_knowledge import logs, server

    def say(url: str) -> None:
        click.echo(f"The knowledge base is at {url} ; webhooks go to {url}/webhooks. Ctrl-C stops it.")
        if host not in LOOPBACK and host != "::1":
            click.echo("It listens beyond this machine, and whoever gets through may read all of it.", err=True)
        server.mark(ready_file, url)

    logs.configure()
    try:
        server.serve(folder, host=host, port=port, environment=os.environ, allowed_hosts=allowed_hosts, on_ready=say)
    except Misconfigured as exc:
        raise Unfit(str(exc)) from exc
    except SluiceError as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"It cannot listen on {host} port {port}, or use {folder}: {exc.strerror}.") from exc


@knowledge.command()
@click.argument("text", metavar="SPARQL")
@click.option("--url", default=URL, show_default=True, help="The knowledge base.")
def query(text: str, url: str) -> None:
    """Ask with SPARQL. A table on a terminal; otherwise one JSON object a row, or N-Triples for CONSTRUCT."""
    media, body = _asked(text, url)
    if not media.startswith("application/sparql-results+json"):
        click.echo(body, nl=False)
        return
    told = orjson.loads(body)
    if "boolean" in told:
        click.echo("true" if told["boolean"] else "false")
        return
    if told.get("cut"):
        click.echo("There are more rows than these; add a LIMIT and an ORDER BY, or ask for less.", err=True)
    _print(told["head"]["vars"], told["results"]["bindings"])


def _asked(text: str, url: str) -> tuple[str, bytes]:
    headers = {"content-type": "application/sparql-query"}
    try:
        answer = httpx.post(f"{url.rstrip('/')}/sparql", content=text.encode(), headers=headers, timeout=PATIENCE_S)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise click.ClickException(f"No knowledge base answers at {url}; `sluice knowledge serve` starts one.") from exc
    if answer.status_code != 200:
        raise click.ClickException(_detail(answer))
    return answer.headers.get("content-type", ""), answer.content


def _detail(answer: httpx.Response) -> str:
    try:
        return printable(str(answer.json()["detail"]))
    except (ValueError, LookupError, TypeError):
        return f"The server answers {answer.status_code}; is it a knowledge base?"


def _print(names: list[str], rows: list[dict[str, Any]]) -> None:
    if not sys.stdout.isatty():
        for row in rows:
            click.echo(orjson.dumps({name: _text(row[name]) for name in names if name in row}))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(printable(_text(row[name])) if name in row else "" for name in names))
    Console(markup=False, emoji=False, highlight=False).print(table)


def _text(term: dict[str, Any]) -> str:
    value = term["value"]
    return value if isinstance(value, str) else orjson.dumps(value).decode()
