"""A task of Label Studio with one of its annotations as a label."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from sluice_schemas.errors import BadInput
from sluice_schemas.label import Label
from sluice_schemas.labels import annotation
from sluice_schemas.schema import ExtractionSchema

ABOUT_DOCUMENT = {"document_id": "id", "document_version": "version", "language": "language"}
"""What a task that we made says of its document."""


def labels_of(task: Any, schema: ExtractionSchema, *, author: str) -> Iterator[Label]:
    """A label for each annotation of a task, the newest last; skipped ones are none. Raises `BadInput`."""
    given = task.get("annotations") if isinstance(task, dict) else None
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise BadInput("This is no task of Label Studio with annotations; export as JSON, not as JSON-MIN.")
    for each in sorted(given, key=lambda each: str(each.get("updated_at") or each.get("created_at") or "")):
        if not each.get("was_cancelled"):
            yield label_of(task, each, schema, author=author)


def label_of(task: Mapping[str, Any], annotated: Mapping[str, Any], schema: ExtractionSchema, *, author: str) -> Label:
    """The label that an annotation of a task makes. Raises `BadInput`."""
    data = task.get("data")
    text = data.get("text") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(text, str):
        raise BadInput("The task has no data.text; make its project by `sluice labels config`.")
    if data.get("schema_ref", schema.ref) != schema.ref:
        raise BadInput(f"The task is of the schema {str(data['schema_ref'])[:80]!r}, not {schema.ref!r}.")
    document = {"id": hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(), "text": text}
    document |= {name: data[field] for field, name in ABOUT_DOCUMENT.items() if data.get(field) is not None}
    job_id = data.get("job_id")
    return Label.of(
        {
            "document": document,
            "schema_ref": schema.ref,
            "verdict": "corrected" if job_id else "imported",
            "author": author,
            "job_id": job_id,
            **annotation.facts_of(annotated.get("result"), text, schema),
        }
    )
