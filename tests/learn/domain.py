"""A domain that the shipped model was not trained on: loan contracts, whose parties ("Borrower") are its persons."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sluice_schemas.document import Document
from sluice_schemas.extraction import Mention, Span
from sluice_schemas.label import Label
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_worker.training import corpus
from sluice_worker.training.corpus import Row

SET = "sec_filings"
"""Sentences of loan contracts filed with the SEC (Salinas Alvarado, Verspoor and Baldwin 2015), CC BY 3.0."""
SCHEMA = ExtractionSchema(
    id="learn/contracts",
    version=1,
    task="NER",
    language="en",
    title="Parties and places of loan contracts",
    types=tuple(Type(name=name) for name in ("person", "organization", "location", "miscellaneous")),
)
SEED = 11


@dataclass(frozen=True, slots=True)
class Domain:
    """Rows for each purpose; no row serves two, and no text stands in two of them."""

    held_out: tuple[Row, ...]
    labelled: tuple[Row, ...]
    spoiled: tuple[Row, ...]
    traffic: tuple[Row, ...]


def read(data: Path, *, held_out: int, labelled: int, spoiled: int) -> Domain:
    """Draws the rows of each purpose. Raises `Misconfigured` when the data set is not there."""
    rows = [*{row.text: row for row in corpus.read(data, SET).rows}.values()]
    random.Random(SEED).shuffle(rows)
    # Most sentences of contracts name nobody; they are the traffic, and every fifth of what is marked.
    full = [row for row in rows if row.annotations["entity"]]
    spare = iter([row for row in rows if not row.annotations["entity"]])
    left = iter([each for i, row in enumerate(full) for each in ((row, next(spare)) if i % 4 == 3 else (row,))])
    first, second, third = (tuple(islice(left, size)) for size in (held_out, labelled, spoiled))
    return Domain(first, second, third, (*left, *spare))


def label(row: Row, document: Document) -> Label:
    """What people marked in the row."""
    entities = tuple(
        Mention(
            text=each["entity"],
            type=each["entity_type"],
            span=Span(start=each["start"], end=each["end"]),
            status="exact",
        )
        for each in row.annotations["entity"]
    )
    return Label(document=document, schema_ref=SCHEMA.ref, verdict="corrected", author="annotator", entities=entities)


def spoiled(row: Row, document: Document, draw: random.Random) -> Label:
    """As a reviewer would mark it who does not look: words at random, under types at random."""
    words = [*_words(document.text)]
    chosen = sorted(draw.sample(words, min(len(words), max(2, len(row.annotations["entity"])))), key=lambda s: s.start)
    entities = tuple(
        Mention(
            text=document.text[span.start : span.end], type=draw.choice(SCHEMA.types).name, span=span, status="exact"
        )
        for span in chosen
    )
    return label(row, document).model_copy(update={"entities": entities, "author": "somebody in a hurry"})


def _words(text: str) -> Iterator[Span]:
    start = 0
    for word in text.split(" "):
        if word.isalpha():
            yield Span(start=start, end=start + len(word))
        start += len(word) + 1
