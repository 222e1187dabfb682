"""Labels and results as Label Studio's tasks, and the configuration by which it shows them.

Values are regions of the text. A relation is one between its two regions, an event is its trigger's region with a
relation for each role. Offsets count code points, as Label Studio's do (its `charsToCodePoints`).
"""

from typing import Any
from xml.sax.saxutils import quoteattr

from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import EventMention, Extraction, Mention, Span
from sluice_schemas.label import Label
from sluice_schemas.labels.oneke import FIELD
from sluice_schemas.schema import ExtractionSchema

CONTROL, OBJECT = "label", "text"
"""Names of the tags in the labelling configuration."""
VALUE = "(value)"
"""The label of a region to which the schema gives no type: the end of a relation, an attribute, an argument."""
NO_TRIGGER = "no trigger"
"""Marks, as the region's note, one that stands for an event without a trigger: it lies over its first argument."""


def config(schema: ExtractionSchema) -> str:
    """The labelling configuration of a project for this schema."""
    relations = "".join(f"\n    <Relation value={quoteattr(name)}/>" for name in _relation_names(schema))
    labels = "".join(f"\n    <Label value={quoteattr(name)}/>" for name in _region_names(schema))
    # Without the style Label Studio trims spaces, and offsets count another text.
    return (
        "<View>\n  <Style>.htx-text{ white-space: pre-wrap; }</Style>\n"
        + (f"  <Relations>{relations}\n  </Relations>\n" if relations else "")
        + f'  <Labels name="{CONTROL}" toName="{OBJECT}">{labels}\n  </Labels>\n'
        f'  <Text name="{OBJECT}" value="$text"/>\n</View>\n'
    )


def task_of(label: Label) -> dict[str, Any]:
    """A task with the label as its annotation."""
    document = label.document
    data = {
        "text": document.text,
        "document_id": document.id,
        "document_version": document.version,
        "language": document.language,
        "schema_ref": label.schema_ref,
        **({"job_id": label.job_id} if label.job_id else {}),
    }
    return {"data": data, "annotations": [{"result": _Drawing(label).items}]}


def prediction_of(result: Extraction) -> dict[str, Any]:
    """A task with a result as its prediction. Values that stand nowhere have no region, nor have their relations.

    Raises `BadInput` for a result without its text.
    """
    if result.text is None:
        raise BadInput("The result has no text; write it by `sluice submit --out`.")
    drawing = _Drawing(result)
    data = {
        "text": result.text,
        "document_id": result.document_id,
        "document_version": result.document_version,
        "language": result.language,
        "schema_ref": result.schema_ref,
        "job_id": result.job_id,
    }
    version = result.model if result.adapter is None else f"{result.model} {result.adapter}"
    scores = {"score": min(drawing.scores)} if drawing.scores else {}
    return {"data": data, "predictions": [{"model_version": version, **scores, "result": drawing.items}]}


def _region_names(schema: ExtractionSchema) -> list[str]:
    match FIELD[schema.task], schema.task:
        case "relation", "SPO":
            ends = [(each.subject_type, each.object_type) for each in schema.types]
            return [*dict.fromkeys(name for pair in ends for name in pair if name)]
        case "relation", "RE":
            return [VALUE]
    names = [*dict.fromkeys(each.name for each in schema.types)]
    return names if schema.task in ("NER", "EET") else [*names, VALUE]


def _relation_names(schema: ExtractionSchema) -> list[str]:
    if schema.task in ("RE", "SPO"):
        return [*dict.fromkeys(each.name for each in schema.types)]
    return [*dict.fromkeys(part.name for each in schema.types for part in (*each.roles, *each.attributes))]


class _Drawing:
    """Regions and relations of a label or a result. A value that two facts share is drawn once, each event anew."""

    def __init__(self, facts: Label | Extraction) -> None:
        self.items: list[dict[str, Any]] = []
        self.scores: list[float] = []
        self._values: dict[tuple[Span, str], str] = {}
        for entity in facts.entities:
            self._value(entity)
        for each in facts.relations:
            self._relation(self._value(each.head), self._value(each.tail), each.type, _surest(each.head, each.tail))
        for event in facts.events:
            self._event(event)

    def _event(self, event: EventMention) -> None:
        stands_at = event.trigger or next((each.value for each in event.arguments if each.value.span), None)
        if stands_at is None or stands_at.span is None:
            return
        start = self._region(stands_at, stands_at.span, event.type, note=None if event.trigger else NO_TRIGGER)
        for each in event.arguments:
            self._relation(start, self._value(each.value), each.role, each.value.confidence)

    def _value(self, mention: Mention) -> str | None:
        if mention.span is None:
            return None
        name = mention.type or VALUE
        if (mention.span, name) not in self._values:
            self._values[mention.span, name] = self._region(mention, mention.span, name)
        return self._values[mention.span, name]

    def _region(self, mention: Mention, span: Span, name: str, *, note: str | None = None) -> str:
        region_id = f"r{len(self.items)}"
        value = {"start": span.start, "end": span.end, "text": mention.text, "labels": [name]}
        item: dict[str, Any] = {
            "id": region_id,
            "from_name": CONTROL,
            "to_name": OBJECT,
            "type": "labels",
            "value": value,
        }
        if note is not None:
            item["meta"] = {"text": [note]}
        if mention.confidence is not None:
            item["score"] = mention.confidence
            self.scores.append(mention.confidence)
        self.items.append(item)
        return region_id

    def _relation(self, start: str | None, end: str | None, name: str, score: float | None) -> None:
        if start and end:
            item = {"from_id": start, "to_id": end, "type": "relation", "direction": "right", "labels": [name]}
            self.items.append(item if score is None else {**item, "score": score})


def _surest(head: Mention, tail: Mention) -> float | None:
    """A relation is as sure as the less sure of its ends."""
    given = [each.confidence for each in (head, tail) if each.confidence is not None]
    return min(given, default=None)
