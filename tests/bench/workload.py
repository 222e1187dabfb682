"""Real prompts to measure with: the demo's documents, asked as the service asks them."""

import itertools
from collections.abc import Callable, Sequence
from importlib import resources

import orjson

from sluice_schemas import shelf
from sluice_schemas.document import Document
from sluice_worker.engine.request import ModelCard, Request
from sluice_worker.plan import Limits, plan

LONGEST = 1000
"""Characters. The demo's one long text is left out: it alone would weigh as much as twenty of the others."""


def documents(count: int, *, mark: int) -> list[tuple[Document, str]]:
    """`count` documents, each with its schema's ref, the demo's own over and over.

    `mark` and a running number stand before each text, so that no engine answers one from what it has in its cache;
    texts of the same schema still share the beginnings of their prompts.
    """
    found = resources.files("sluice_worker.demo") / "documents.jsonl"
    rows = [orjson.loads(line) for line in found.read_bytes().splitlines()]
    short = itertools.cycle(row for row in rows if len(row["text"]) <= LONGEST)
    return [
        (Document(id=f"{mark}-{i}", text=f"{mark}.{i} {row['text']}", language=row["language"]), row["schema"])
        for i, row in enumerate(itertools.islice(short, count))
    ]


def requests(
    given: Sequence[tuple[Document, str]], *, card: ModelCard, count_tokens: Callable[[str], int], max_tokens: int
) -> list[list[Request]]:
    """For each document the requests that it takes in service, with answers of up to `max_tokens`."""
    limits = Limits(chunk_tokens=card.chunk_tokens, overlap_tokens=0, answer_tokens=max_tokens)
    planned = (
        plan(document, shelf.find(ref), card=card, count_tokens=count_tokens, limits=limits) for document, ref in given
    )
    return [[Request(each.prompt, max_tokens, each.grammar, each.is_distinct) for each in found] for found in planned]
