"""Extractions as graphs: one JSON-LD document, N-Quads, or statements for Neo4j."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from sluice_schemas.errors import Misconfigured
from sluice_schemas.extraction import Extraction, Mention
from sluice_schemas.job import Job
from sluice_schemas.linked_data import CONTEXT, document_iri, entity_iri, linked_data

Statement = dict[str, Any]


def json_ld(extractions: Iterable[Extraction]) -> Iterator[bytes]:
    """One document over all of them, written as they come."""
    yield b'{"@context":' + orjson.dumps(dict(CONTEXT)) + b',"@graph":['
    comma = b"\n"
    for extraction in extractions:
        for node in linked_data(_job(extraction), extraction)["@graph"]:
            yield comma + orjson.dumps(node)
            comma = b",\n"
    yield b"\n]}\n"


def n_quads(extractions: Iterable[Extraction]) -> Iterator[bytes]:
    """N-Quads (RDF 1.1), a named graph for each document. Raises `Misconfigured` where the library is missing."""
    try:
        import pyoxigraph as ox
    except ImportError as exc:
        raise Misconfigured("N-Quads need the extra: pip install 'sluice-ke[knowledge]'.") from exc
    for extraction in extractions:
        job = _job(extraction)
        name = ox.NamedNode(document_iri(job.tenant, job.document_id))
        found = ox.parse(orjson.dumps(linked_data(job, extraction)), format=ox.RdfFormat.JSON_LD)
        quads = [ox.Quad(each.subject, each.predicate, each.object, name) for each in found]
        text = ox.serialize(quads, format=ox.RdfFormat.N_QUADS)
        yield text or b""


ENTITIES = """\
UNWIND $rows AS row
MERGE (e:Entity {id: row.id})
SET e.label = row.label, e.type = row.type"""
RELATIONS = """\
UNWIND $rows AS row
MATCH (h:Entity {id: row.head}), (t:Entity {id: row.tail})
MERGE (h)-[f:FACT {type: row.type, document: row.document}]->(t)
SET f.confidence = row.confidence"""
EVENTS = """\
UNWIND $rows AS row
MERGE (v:Event {id: row.id})
SET v.type = row.type, v.trigger = row.trigger, v.document = row.document"""
ARGUMENTS = """\
UNWIND $rows AS row
MATCH (v:Event {id: row.event}), (e:Entity {id: row.entity})
MERGE (v)-[:ARGUMENT {role: row.role}]->(e)"""


def cypher(extractions: Iterable[Extraction]) -> Iterator[bytes]:
    """One JSON object a line with a `statement`, always one of four, and its `parameters`: run them in order.

    Running them twice changes nothing. No word of a document stands in a statement.
    """
    for extraction in extractions:
        for statement, rows in _statements(extraction):
            if rows:
                line = {"statement": statement, "parameters": {"rows": rows}}
                yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _statements(extraction: Extraction) -> Iterator[tuple[str, list[Statement]]]:
    document = extraction.document_id
    named = {entity_iri(each.text): each for each in _mentions(extraction)}
    # The entities last: of two mentions that which has a type is kept.
    named |= {entity_iri(each.text): each for each in extraction.entities}
    yield ENTITIES, [{"id": iri, "label": each.text, "type": each.type} for iri, each in named.items()]
    yield (
        RELATIONS,
        [
            {
                "head": entity_iri(each.head.text),
                "tail": entity_iri(each.tail.text),
                "type": each.type,
                "document": document,
                "confidence": _least(each.head, each.tail),
            }
            for each in extraction.relations
        ],
    )
    events = [(f"{extraction.job_id}:{number}", each) for number, each in enumerate(extraction.events)]
    yield (
        EVENTS,
        [
            {"id": iri, "type": each.type, "trigger": each.trigger and each.trigger.text, "document": document}
            for iri, each in events
        ],
    )
    yield (
        ARGUMENTS,
        [
            {"event": iri, "entity": entity_iri(argument.value.text), "role": argument.role}
            for iri, each in events
            for argument in each.arguments
        ],
    )


def _mentions(extraction: Extraction) -> Iterator[Mention]:
    for relation in extraction.relations:
        yield from (relation.head, relation.tail)
    for event in extraction.events:
        yield from (each.value for each in event.arguments)


def _least(*mentions: Mention) -> float | None:
    sure = [each.confidence for each in mentions if each.confidence is not None]
    return min(sure, default=None)


def _job(extraction: Extraction) -> Job:
    """What a file of results tells of the job: neither its tenant nor when it ended."""
    return Job(
        id=extraction.job_id,
        state="succeeded",
        document_id=extraction.document_id,
        document_version=extraction.document_version,
        schema_ref=extraction.schema_ref,
        priority="interactive",
        accepted_at=0.0,
    )
