"""What is sent through the queue: one document over and over for a null engine, and prompts as users write them."""

from collections.abc import Iterator

from bench import workload

from sluice_schemas import shelf
from sluice_schemas.document import Document
from sluice_worker.protocol.instruction import build, schema_value
from sluice_worker.protocol.prompt import render
from sluice_worker.protocol.split import split

SCHEMA = "news/entities-en@1"
NOTHING = '{"person": [], "organization": [], "location": [], "date": [], "money": [], "product": []}'
ANSWER = (
    '{"person": ["Ingrid Vaswani"], "organization": ["Harrowgate Biologics"], "location": ["Leipzig", "Germany"], '
    '"product": ["Fluvarin"], "date": ["14 May 2024"], "money": ["$640 million"]}'
)
"""What there is to find in the demo's first document: these values are merged and grounded."""


SHORT = 100
"""Characters: about half of the demo's documents, most of them Chinese."""


def same(count: int, *, mark: str) -> Iterator[Document]:
    """The demo's first document `count` times, each with its own number in front: 280 characters of English."""
    ((first, _),) = workload.documents(1, mark=0)
    for i in range(count):
        yield Document(id=f"{mark}-{i}", text=f"{mark}.{i} {first.text}", language="en")


def short(count: int, *, mark: int) -> list[tuple[Document, str]]:
    """Of the documents that `workload` gives, with their schemas' refs, those of a sentence or two."""
    given = workload.documents(4 * count + 40, mark=mark)
    return [(document, ref) for document, ref in given if len(document.text) <= SHORT][:count]


def prompts(text: str, ref: str, *, is_split: bool) -> list[str]:
    """The prompts of one whole text: its schema split as OneKE's README does, or whole."""
    schema = shelf.find(ref)
    groups = split(schema.types, schema.labels_per_request) if is_split else [schema.types]
    return [
        render(build(schema.task, schema.language, schema_value(schema.task, group, described=False), text)).text
        for group in groups
    ]
