"""From a document to the requests it takes. Pure; `harvest` is the way back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput, Misconfigured
from sluice_schemas.schema import Decoding, ExtractionSchema, Task, Type
from sluice_worker.engine.request import ModelCard
from sluice_worker.protocol.chunk import Chunk, chunk
from sluice_worker.protocol.grammar import grammar
from sluice_worker.protocol.instruction import build, dump, schema_value
from sluice_worker.protocol.prompt import Prompt, render
from sluice_worker.protocol.split import split

DISTINCT: frozenset[Task] = frozenset({"NER", "RE", "SPO"})
"""Tasks whose annotations, and so their answers, hold nothing twice (OneKE's protocol, section 1)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Lengths in tokens: of the text in one request, of its overlap with the one before, and of the answer."""

    chunk_tokens: int
    overlap_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Question:
    """One request to the engine: the labels `types` asked of one chunk.

    `is_distinct` says that a right answer holds each item of a list once.
    """

    chunk: Chunk
    types: Sequence[Type]
    prompt: Prompt
    grammar: str | None
    is_distinct: bool


def plan(
    document: Document, schema: ExtractionSchema, *, card: ModelCard, count_tokens: Callable[[str], int], limits: Limits
) -> list[Question]:
    """The requests for a document, chunk by chunk and within a chunk in schema order, so that prefixes are shared.

    Raises `BadInput` when the schema alone fills the model's context, `Misconfigured` when this worker's engine has no
    such decoding level.
    """
    level = level_of(schema, card)
    if level not in card.decodings:
        raise Misconfigured(
            f"Schema {schema.ref} asks for {level!r} decoding; this worker's engine has "
            f"{', '.join(sorted(card.decodings))}. Publish a version with another level, or run another engine."
        )
    tokens = room(schema, card, count_tokens, limits)
    chunks = chunk(
        document.text,
        # A text stands in the prompt as a JSON string: quotes and line ends cost more there.
        measure=lambda text: count_tokens(dump(text)),
        max_tokens=tokens,
        overlap_tokens=min(limits.overlap_tokens, tokens // 4),
    )
    return [_question(schema, types, piece, level) for piece in chunks for types in _splits(schema)]


def level_of(schema: ExtractionSchema, card: ModelCard) -> Decoding:
    """The schema's decoding level, or the one at which the model does best."""
    return schema.decoding or card.decoding


def _question(schema: ExtractionSchema, types: Sequence[Type], piece: Chunk, level: Decoding) -> Question:
    value = _value(schema, types)
    held = None if level == "free" else grammar(schema.task, value, piece.text, level=level)
    return Question(piece, types, _prompt(schema, types, piece.text), held, schema.task in DISTINCT)


def _splits(schema: ExtractionSchema) -> Sequence[Sequence[Type]]:
    if schema.describe_types and schema.task != "KG":
        return [schema.types]
    return split(schema.types, schema.labels_per_request)


def _value(schema: ExtractionSchema, types: Sequence[Type]) -> Any:
    return schema_value(schema.task, types, described=schema.describe_types)


def _prompt(schema: ExtractionSchema, types: Sequence[Type], text: str) -> Prompt:
    return render(build(schema.task, schema.language, _value(schema, types), text, examples=schema.examples))


def room(schema: ExtractionSchema, card: ModelCard, count_tokens: Callable[[str], int], limits: Limits) -> int:
    """Tokens left for text beside the longest question of the schema; bos and a few for the seams are taken off.

    Raises `BadInput` when hardly any are.
    """
    fixed = max(count_tokens(_prompt(schema, types, "").text) for types in _splits(schema)) + 8
    left = min(limits.chunk_tokens, card.context_tokens - limits.answer_tokens - fixed)
    if left < 16:
        raise BadInput(
            f"Schema {schema.ref} takes {fixed} tokens of the model's {card.context_tokens}; with an answer of "
            f"{limits.answer_tokens} nothing is left for text. Lower split_num, or shorten descriptions and examples."
        )
    return left
