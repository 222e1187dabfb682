"""An extraction as flat rows: one for each value of each fact, in a table that any program reads."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from sluice_schemas.extraction import Extraction, Mention

COLUMNS = (
    "document_id", "document_version", "schema", "model", "adapter", "fact", "kind", "type", "role", "text",
    "entity_type", "start", "end", "status", "confidence",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection")."""


def rows(extraction: Extraction) -> Iterator[dict[str, Any]]:
    """`fact` counts from 0 within the document; rows with the same number belong together."""
    about = {
        "document_id": extraction.document_id,
        "document_version": extraction.document_version,
        "schema": extraction.schema_ref,
        "model": extraction.model,
        "adapter": extraction.adapter,
    }
    for number, (kind, name, values) in enumerate(_facts(extraction)):
        for role, mention in values:
            yield {**about, "fact": number, "kind": kind, "type": name, "role": role, **_value(mention)}


def jsonl(extractions: Iterable[Extraction]) -> Iterator[bytes]:
    """One row a line, exactly as it is."""
    for extraction in extractions:
        for row in rows(extraction):
            yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def table(extractions: Iterable[Extraction]) -> Iterator[bytes]:
    """CSV (RFC 4180) with a head. What a spreadsheet would run as a formula gets an apostrophe in front."""
    yield _line(COLUMNS)
    for extraction in extractions:
        for row in rows(extraction):
            yield _line([_cell(row[name]) for name in COLUMNS])


def _facts(extraction: Extraction) -> Iterator[tuple[str, str | None, list[tuple[str, Mention]]]]:
    for entity in extraction.entities:
        yield "entity", entity.type, [("mention", entity)]
    for relation in extraction.relations:
        yield "relation", relation.type, [("head", relation.head), ("tail", relation.tail)]
    for event in extraction.events:
        yield "event", event.type, event.named_values()


def _value(mention: Mention) -> dict[str, Any]:
    span = mention.span
    return {
        "text": mention.text,
        "entity_type": mention.type,
        "start": span.start if span else None,
        "end": span.end if span else None,
        "status": mention.status,
        "confidence": mention.confidence,
    }


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _line(cells: Iterable[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
