"""The names in the graph: those that the JSON-LD of an event gives, and those of the knowledge base's own books."""

from typing import Final
from urllib.parse import quote, unquote

from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Triple

from sluice_schemas.linked_data import CONTEXT, VOCABULARY

Term = NamedNode | BlankNode | Literal | Triple

RDF, RDFS, PROV = CONTEXT["rdf"], CONTEXT["rdfs"], CONTEXT["prov"]
TYPE: Final = NamedNode(f"{RDF}type")
SUBJECT: Final = NamedNode(f"{RDF}subject")
PREDICATE: Final = NamedNode(f"{RDF}predicate")
OBJECT: Final = NamedNode(f"{RDF}object")
LABEL: Final = NamedNode(f"{RDFS}label")
DERIVED_FROM: Final = NamedNode(f"{PROV}wasDerivedFrom")
GENERATED_BY: Final = NamedNode(f"{PROV}wasGeneratedBy")
ASSOCIATED_WITH: Final = NamedNode(f"{PROV}wasAssociatedWith")
ENDED_AT: Final = NamedNode(f"{PROV}endedAtTime")


def of_vocabulary(name: str) -> NamedNode:
    """A class or property of Sluice's own."""
    return NamedNode(f"{VOCABULARY}{name}")


FACT: Final = of_vocabulary("Fact")
EVENT: Final = of_vocabulary("Event")
ENTITY: Final = of_vocabulary("Entity")
SUPPORTS: Final = of_vocabulary("supports")
MENTION: Final = of_vocabulary("mention")
MENTIONED: Final = of_vocabulary("entity")
"""From a mention to the entity it means."""

ENTITIES = "urn:sluice:entity:"
CLASSES = "urn:sluice:class:"
RELATIONS = "urn:sluice:relation:"
ROLES = "urn:sluice:role:"
JOBS = "urn:sluice:job:"


def graph_name(tenant: str, document_id: str, schema_ref: str) -> NamedNode:
    """What one document says under one schema, whatever the versions of both."""
    schema_id = schema_ref.partition("@")[0]
    return NamedNode(
        f"urn:sluice:graph:{quote(tenant, safe='')}:{quote(document_id, safe='')}:{quote(schema_id, safe='')}"
    )


def said(iri: str, kind: str) -> str:
    """The users' own word for a class, relation, role or job. `kind` is how its names begin."""
    return unquote(iri.removeprefix(kind))


def tail(iri: str) -> str:
    """The digest or number at the end of a name."""
    return iri.rpartition(":")[2]


def value(term: Term) -> str:
    """The IRI of a node or the text of a literal. Raises `TypeError` for what events never carry."""
    if isinstance(term, NamedNode | Literal):
        return term.value
    raise TypeError(f"a {type(term).__name__} stands where a name or a text should")


def node(term: Term) -> NamedNode:
    """The term, which must be a name."""
    if isinstance(term, NamedNode):
        return term
    raise TypeError(f"a {type(term).__name__} stands where a name should")


def graph_of(quad: Quad) -> NamedNode:
    """The named graph of a quad; nothing is ever written anywhere else."""
    if isinstance(quad.graph_name, NamedNode):
        return quad.graph_name
    raise TypeError("a quad stands outside of every named graph")
