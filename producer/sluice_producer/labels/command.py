"""`sluice labels`: labels from files and into files, and what there is."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, get_args

import click
import orjson
from rich.table import Table

from sluice_producer.cli.session import Session
from sluice_producer.cli.show import console
from sluice_producer.labels.access import LOCAL_LABELS, VARIABLE, Access
from sluice_producer.labels.forms import FORMS, Whose, as_list
from sluice_producer.view.command import BadLine, read
from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Extraction
from sluice_schemas.label import Share
from sluice_schemas.labels import labelstudio
from sluice_schemas.printable import printable
from sluice_schemas.whole_file import whole_file

if TYPE_CHECKING:
    from sluice_schemas.labels.store import Entry, LabelStore, Tally

SCHEMA = click.option("--schema", "ref", metavar="ID", help="Only those under this schema, id@version.")
FORM = click.option("--form", type=click.Choice([*FORMS]), default="jsonl", show_default=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where labels are, and how to get a client for schemas."""

    session: Session
    url: str

    @contextmanager
    def store(self) -> "Iterator[LabelStore]":
        access = Access(self.url)
        try:
            yield access.store()
        finally:
            access.close()


pass_place = click.make_pass_decorator(Place)


@click.group()
@click.option(
    "--labels",
    "url",
    envvar=VARIABLE,
    default=LOCAL_LABELS,
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="The database of labels: SQLite or PostgreSQL.",
)
@click.pass_context
def labels(context: click.Context, url: str) -> None:
    """Labels: what people say stands in a text, and what it is to be used for."""
    context.obj = Place(context.ensure_object(Session), url)


@labels.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--schema", "ref", required=True, metavar="ID", help="What the labels are made under, id@version.")
@click.option("--author", required=True, metavar="NAME", help="Who labelled.")
@FORM
@pass_place
@click.pass_context
def import_(context: click.Context, place: Place, file: BinaryIO, ref: str, author: str, form: str) -> None:
    """Keep the labels in FILE; `-` reads standard input.

    jsonl is what `export` writes; oneke is OneKE's annotated form, one document a line; labelstudio is an export as
    JSON. A label that is wrong is named, the others are kept, and the exit code is then 1. Given again, the same
    command keeps nothing twice.
    """
    with place.session.client() as client:
        schema = client.schema(ref)
    kept, known, bad = 0, 0, 0
    with place.store() as store:
        for at, label in FORMS[form].read(file, Whose(schema, author)):
            try:
                if isinstance(label, BadInput):
                    raise label
                stored = store.add(label, schema=schema)
            except BadInput as exc:
                bad += 1
                click.echo(printable(f"{at}: {exc}"), err=True)
            else:
                kept, known = kept + stored.is_new, known + (not stored.is_new)
    click.echo(f"{kept} labels kept, {known} were there already, {bad} were bad.", err=True)
    context.exit(1 if bad else 0)


@labels.command()
@FORM
@SCHEMA
@click.option("--share", type=click.Choice(get_args(Share)), help="Only those for this use.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Else standard output.")
@click.option(
    "--predictions",
    type=click.File("rb"),
    metavar="RESULTS.jsonl",
    help="Instead of labels, results as `sluice submit --out` writes them: tasks for reviewers (labelstudio only).",
)
@pass_place
@click.pass_context
def export(
    context: click.Context,
    place: Place,
    form: str,
    ref: str | None,
    share: Share | None,
    out: Path | None,
    predictions: BinaryIO | None,
) -> None:
    """Write the newest label of each document.

    The form oneke holds labels of one schema: name it by --schema. Labels of the share `test` are there to judge;
    whatever is trained with them cannot be judged any more.
    """
    if predictions is not None:
        context.exit(_predictions(predictions, form, ref, out))
    if form == "oneke" and ref is None:
        raise click.UsageError("--form oneke needs --schema: its lines do not say theirs.")
    with place.store() as store, place.session.client() as client:
        chosen = (each.label for each in store.snapshot(ref or "*") if share in (None, each.share))
        _write(FORMS[form].write((label, client.schema(label.schema_ref)) for label in chosen), out)


@labels.command("list")
@SCHEMA
@click.option("--document", "document_id", metavar="ID", help="Only those of this document.")
@click.option("--author", metavar="NAME", help="Only those by this author.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@pass_place
def list_(place: Place, ref: str | None, document_id: str | None, author: str | None, limit: int) -> None:
    """Print the history of labels, the newest first: a table here, JSON lines to a program."""
    with place.store() as store:
        found = store.entries(ref or "*", document_id=document_id, author=author, limit=limit)
    if not sys.stdout.isatty():
        for entry in found:
            click.echo(orjson.dumps(asdict(entry)))
        return
    console().print(_table(found))


@labels.command()
@SCHEMA
@pass_place
def count(place: Place, ref: str | None) -> None:
    """Print how many documents have a label, by schema and share."""
    with place.store() as store:
        found = store.tallies(ref or "*")
    if not sys.stdout.isatty():
        for tally in found:
            click.echo(orjson.dumps(asdict(tally)))
        return
    console().print(_counts(found))


@labels.command()
@click.argument("ref", metavar="ID")
@pass_place
def config(place: Place, ref: str) -> None:
    """Print Label Studio's labelling configuration for a schema, id@version."""
    with place.session.client() as client:
        click.echo(labelstudio.config(client.schema(ref)), nl=False)


def _predictions(results: BinaryIO, form: str, ref: str | None, out: Path | None) -> int:
    """Writes tasks; the exit code."""
    if form != "labelstudio":
        raise click.UsageError("--predictions are for Label Studio: say --form labelstudio.")
    bad: list[str] = []
    _write(as_list(_tasks(read(results), ref, bad)), out)
    for fault in bad:
        click.echo(printable(fault), err=True)
    return 1 if bad else 0


def _tasks(lines: Iterable[Extraction | BadLine], ref: str | None, bad: list[str]) -> Iterator[dict[str, object]]:
    for line in lines:
        if isinstance(line, BadLine):
            bad.append(str(line))
        elif ref in (None, line.schema_ref):
            try:
                yield labelstudio.prediction_of(line)
            except BadInput as exc:
                bad.append(f"job {line.job_id}: {exc}")


def _write(parts: Iterable[bytes], out: Path | None) -> None:
    if out is not None:
        with whole_file(out) as file:
            file.writelines(parts)
        return
    for part in parts:
        click.echo(part, nl=False)


def _table(entries: "Iterable[Entry]") -> Table:
    rows = Table("id", "kept at", "schema", "document", "verdict", "author", "share", box=None)
    for each in entries:
        at = datetime.fromtimestamp(each.created_at).astimezone().isoformat(sep=" ", timespec="seconds")
        words = (str(each.id), at, each.schema_ref, each.document_id, each.verdict, each.author, each.share)
        rows.add_row(*map(printable, words))
    return rows


def _counts(tallies: "Iterable[Tally]") -> Table:
    rows = Table("schema", "train", "dev", "test", "labels ever", box=None)
    for each in tallies:
        rows.add_row(printable(each.schema_ref), *map(str, (each.train, each.dev, each.test, each.labels)))
    return rows
