"""Makes an order out of a text and what its caller wants."""

import difflib
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from pydantic import JsonValue

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput
from sluice_schemas.job import Order, Priority
from sluice_schemas.ledger import keys
from sluice_schemas.schema import ExtractionSchema


class Options(TypedDict, total=False):
    """What may be said of each document of a call; what is left out has the default of `Order` or `Document`."""

    language: Literal["zh", "en", "auto"]
    priority: Priority
    tenant: str
    endpoints: Sequence[str]
    timeout_s: float | None
    reviewable: bool


class SubmitOptions(Options, total=False):
    """What may be said of one document. `id`, `version`, `language`, `metadata` and `source` are those of a `Document`.

    `key` makes submitting idempotent: the same key with the same content is the same job.
    """

    id: str
    version: int
    metadata: dict[str, JsonValue]
    source: str
    key: str


ABOUT_DOCUMENT = ("id", "version", "language", "metadata", "source")
ABOUT_ORDER = ("priority", "tenant", "endpoints", "timeout_s", "reviewable", "key")


def order_of(document: str | Document, schema: str, options: Mapping[str, Any]) -> Order:
    """An order under a key of its own unless one is given. Raises `BadInput`; `TypeError` for a misused option."""
    _refuse_unknown(options)
    about = {name: options[name] for name in ABOUT_DOCUMENT if name in options}
    if not isinstance(document, Document):
        document = document_of({"text": document, **about})
    elif about:
        raise TypeError(f"{', '.join(about)}: a Document says this itself; set it there.")
    wanted = {name: options[name] for name in ABOUT_ORDER if name in options}
    return Order.of({"document": document, "schema_ref": schema, "key": uuid.uuid4().hex, **wanted})


def document_of(fields: Mapping[str, Any]) -> Document:
    """A document from its fields; without an id it is named by the SHA-256 of its text. Raises `BadInput`."""
    text = fields.get("text")
    if not isinstance(text, str):
        raise BadInput("The document has no text; give one as a string." if text is None else _NOT_TEXT)
    named = {"id": hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(), **fields}
    return Document.of(named)


def with_endpoints(order: Order, schema: ExtractionSchema) -> Order:
    """The order to the endpoints of its schema too. Raises `BadInput` when those are too many."""
    if set(schema.endpoints) <= set(order.endpoints):
        return order
    named = dict.fromkeys((*order.endpoints, *schema.endpoints))
    return Order.of(order.model_dump() | {"endpoints": [*named]})


def keyed_by_content(order: Order) -> Order:
    """The order under a key that the same document, schema and endpoints get in every run."""
    return order.model_copy(update={"key": f"content:{keys.fingerprint(order)}"})


_NOT_TEXT = "The text is not a string. Decode bytes first, and give anything else as a Document."


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    known = (*ABOUT_DOCUMENT, *ABOUT_ORDER)
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            advice = f"Did you mean {close[0]!r}?" if close else f"Known are {', '.join(known)}."
            raise TypeError(f"There is no option {name!r}. {advice}")
