"""`sluice extract`: a try-out on one text, without Redis or queues."""

from pathlib import Path
from typing import BinaryIO

import click
import orjson

from sluice_schemas import shelf
from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput
from sluice_schemas.schema import ExtractionSchema
from sluice_worker.settings import Settings


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--schema", "ref", required=True, help="A shipped schema (id@version), or a YAML file.")
def extract(file: BinaryIO, ref: str) -> None:
    """Try a schema on one text, without a queue.

    FILE is a text, - standard input; the result is printed as JSON. No queue is used and nothing is kept.
    """
    schema = _schema(ref)
    document = Document.of({"id": Path(file.name).name, "text": _text(file.read())})
    settings = Settings.read()
    # The engine takes seconds to load; a wrong schema or text is told at once.
    from sluice_worker.engine import load
    from sluice_worker.process.logs import configure
    from sluice_worker.work import extract as run

    configure("WARNING")
    engine = load.load(settings)
    try:
        extraction = run(document, schema, engine=engine, limits=load.limits(settings, engine.card))
    finally:
        engine.close()
    click.echo(orjson.dumps(extraction.model_dump(mode="json", exclude_defaults=True), option=orjson.OPT_INDENT_2))


def _text(raw: bytes) -> str:
    """As it stands: line ends stay what they are, for offsets count them."""
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise BadInput(f"Byte {exc.start} of the file is not UTF-8; save it as UTF-8.") from exc


def _schema(ref: str) -> ExtractionSchema:
    return shelf.load(Path(ref)) if ref.endswith((".yaml", ".yml", ".json")) else shelf.find(ref)
