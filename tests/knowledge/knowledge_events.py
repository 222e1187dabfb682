"""Events to send to a knowledge base."""

from collections.abc import Sequence
from typing import Any

import orjson

from sluice_schemas.event import Event
from sluice_schemas.extraction import Argument, EventMention, Extraction, Mention, Passage, Relation, Span
from sluice_schemas.job import Job

Triple = tuple[str, str, str]


def said(text: str, name: str, type: str | None = None) -> Mention:
    """A value, placed where it stands in the text."""
    at = text.find(name)
    if at < 0:
        return Mention(text=name, type=type)
    return Mention(text=name, type=type, span=Span(start=at, end=at + len(name)), status="exact", confidence=0.5)


def job(document: str = "d", **changes: Any) -> Job:
    fields = {"id": f"job-{document}", "state": "succeeded", "document_id": document, "schema_ref": "n/x@1"}
    return Job.model_validate(fields | {"priority": "bulk", "accepted_at": 1.0, "ended_at": 2.5} | changes)


def extraction(of: Job, triples: Sequence[Triple], text: str = "", events: Sequence[Triple] = ()) -> Extraction:
    """Relations (head, relation, tail), and events (type, role, who)."""
    text = text or " ".join(" ".join(each) for each in triples) or "nothing"
    relations = [
        Relation(type=relation, head=said(text, head, "thing"), tail=said(text, tail, "thing"))
        for head, relation, tail in triples
    ]
    names = dict.fromkeys(name for head, _, tail in triples for name in (head, tail))
    found = [
        EventMention(type=type, arguments=(Argument(role=role, value=said(text, who, "thing")),))
        for type, role, who in events
    ]
    return Extraction(
        job_id=of.id,
        document_id=of.document_id,
        document_version=of.document_version,
        schema_ref=of.schema_ref,
        task="RE",
        language="en",
        model="m",
        entities=tuple(said(text, name, "thing") for name in names),
        relations=tuple(relations),
        events=tuple(found),
        passages=(Passage(start=0, end=len(text), text=text),),
    )


def completed(
    *triples: Triple, document: str = "d", text: str = "", events: Sequence[Triple] = (), **job_is: Any
) -> Event:
    """An event of a job that succeeded."""
    made = job(document, **job_is)
    found = extraction(made, triples, text, events)
    return Event(type="extraction.completed", timestamp="2026-01-01T00:00:00Z", job=made, extraction=found)


def failed(document: str = "d", **job_is: Any) -> Event:
    made = job(document, state="dead", reason="poison", **job_is)
    return Event(type="extraction.failed", timestamp="2026-01-01T00:00:00Z", job=made)


def batch(**events: Event) -> bytes:
    """The body of a webhook that carries several events, by their ids."""
    items = [{"id": name, "event": orjson.loads(each.encode())} for name, each in events.items()]
    for each in items:
        each["event"].pop("v")
    return orjson.dumps({"v": 1, "type": "extraction.batch", "events": items})
