"""`sluice schemas`: look at extraction schemas, check and publish them."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click
import yaml
from rich.table import Table

from sluice_producer.cli.session import Session, pass_session
from sluice_producer.cli.show import console
from sluice_schemas import shelf
from sluice_schemas.errors import BadInput, Unavailable
from sluice_schemas.printable import printable
from sluice_schemas.schema import ExtractionSchema

FILE = click.Path(path_type=Path)


@click.group()
def schemas() -> None:
    """List, show, check and publish extraction schemas."""


@schemas.command("list")
@pass_session
def list_schemas(session: Session) -> None:
    """List the schemas that ship, then those that were published."""
    shipped = shelf.library()
    _list("Shipped", shipped.values())
    with session.client() as client:
        try:
            published = [client.schema(ref) for ref in client.schemas() if ref not in shipped]
        except Unavailable:
            click.echo("Redis did not answer: published schemas are not listed.", err=True)
            return
    _list("Published", published)


@schemas.command()
@click.argument("ref")
@pass_session
def show(session: Session, ref: str) -> None:
    """Print the schema REF (id@version) as YAML.

    Change it, give it a new version, and publish it.
    """
    with session.client() as client:
        schema = client.schema(ref)
    fields = schema.model_dump(mode="json", exclude_defaults=True)
    click.echo(yaml.safe_dump(fields, allow_unicode=True, sort_keys=False, width=100), nl=False)


@schemas.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.pass_context
def check(context: click.Context, files: tuple[Path, ...]) -> None:
    """Check schema files without publishing them; Redis is not needed."""
    bad = 0
    for path in files:
        try:
            schema = shelf.load(path)
        except BadInput as exc:
            bad += 1
            click.echo(f"error: {printable(str(exc))}", err=True)
        else:
            click.echo(f"ok: {path}: {schema.ref}, {schema.task}, {len(schema.types)} types")
    context.exit(1 if bad else 0)


@schemas.command()
@click.argument("file", type=FILE)
@pass_session
def publish(session: Session, file: Path) -> None:
    """Publish the schema in FILE under its id@version, for ever.

    Publishing the same content again changes nothing; other content needs a new version.
    """
    schema = shelf.load(file)
    with session.client() as client:
        client.publish(schema)
    click.echo(f"published {schema.ref}")


def _list(title: str, found: Iterable[ExtractionSchema]) -> None:
    if not sys.stdout.isatty():
        for each in found:
            row = each.ref, each.task, each.language, str(len(each.types)), title.lower(), printable(each.title)
            click.echo("\t".join(row))
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("schema", "task", "lang"):
        table.add_column(name, no_wrap=True)
    table.add_column("types", justify="right", no_wrap=True)
    table.add_column("title")
    for each in found:
        table.add_row(each.ref, each.task, each.language, str(len(each.types)), printable(each.title))
    if table.row_count:
        console().print(table)
