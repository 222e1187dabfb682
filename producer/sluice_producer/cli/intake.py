"""Reads what a user submits: JSON Lines, or one plain text; in a stream, whatever the size."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from sluice_producer.cli.pipe import Pipe
from sluice_producer.orders import ABOUT_DOCUMENT, Options, document_of, keyed_by_content, order_of
from sluice_producer.stream import attempt
from sluice_schemas.document import MAX_TEXT_BYTES
from sluice_schemas.errors import BadInput, SluiceError
from sluice_schemas.job import Order

MAX_LINE_BYTES = 32 * 1024 * 1024
"""Room for the longest text with each byte escaped in JSON, and its metadata."""

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the input, counted from 1, as an order or as what is wrong with it."""

    number: int
    order: Order | SluiceError


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says of all documents; a line's own `schema`, `language` come first."""

    schema: str
    field: str
    options: Options


def jsonl(file: BinaryIO, wishes: Wishes) -> Iterator[Line | None]:
    """One document a line; None while a pipe is silent. Blank lines count, and are passed over."""
    for number, raw in _raw_lines(file if file.seekable() else Pipe(file)):
        if raw is None:
            yield None
        elif isinstance(raw, SluiceError):
            yield Line(number, raw)
        elif raw.strip():
            yield Line(number, attempt(_order_of_line, raw, wishes))


def plain_text(file: BinaryIO, wishes: Wishes) -> Iterator[Line | None]:
    """The whole file is one document."""
    yield Line(1, attempt(_order_of_text, file.read(MAX_TEXT_BYTES + 1), wishes))


Reader = Callable[[BinaryIO, Wishes], Iterator[Line | None]]


def _raw_lines(file: BinaryIO | Pipe) -> Iterator[tuple[int, bytes | BadInput | None]]:
    number, is_too_long = 1, False
    while (raw := file.readline(MAX_LINE_BYTES + 1)) != b"":
        if raw is None:
            yield number, None
            continue
        is_too_long = is_too_long or len(raw) > MAX_LINE_BYTES
        if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
            continue
        if is_too_long:
            yield number, BadInput(f"The line is longer than {MAX_LINE_BYTES} bytes; submit the text in parts.")
        else:
            yield number, raw.removeprefix(BOM) if number == 1 else raw
        number, is_too_long = number + 1, False
    if is_too_long:
        yield number, BadInput(f"The line is longer than {MAX_LINE_BYTES} bytes; submit the text in parts.")


def _order_of_line(raw: bytes, wishes: Wishes) -> Order:
    fields = _object(_decoded(raw))
    schema = fields.pop("schema", wishes.schema)
    if wishes.field != "text":
        if wishes.field not in fields or "text" in fields:
            raise BadInput(f"The text must stand in {wishes.field!r}, as --field says, and only there.")
        fields["text"] = fields.pop(wishes.field)
    options = {name: value for name, value in wishes.options.items() if name not in ABOUT_DOCUMENT}
    document = document_of({"language": wishes.options.get("language", "auto"), **fields})
    return keyed_by_content(order_of(document, schema, options))


def _order_of_text(raw: bytes, wishes: Wishes) -> Order:
    if len(raw) > MAX_TEXT_BYTES:
        raise BadInput(f"The file is longer than a document may be, {MAX_TEXT_BYTES} bytes; submit it in parts.")
    return keyed_by_content(order_of(_decoded(raw.removeprefix(BOM)), wishes.schema, wishes.options))


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise BadInput(f"Byte {exc.start + 1} is not UTF-8; save the file as UTF-8.") from exc


def _object(text: str) -> dict[str, Any]:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"This is not JSON: {exc.msg} at character {exc.pos + 1}.") from exc
    if not isinstance(fields, dict):
        raise BadInput('A line must be a JSON object such as {"text": "..."}.')
    return fields
