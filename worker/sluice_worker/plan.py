"""From a document to the requests it takes. Pure; `harvest` is the way back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput, Misconfigured
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_worker.engine.request import ModelCard
from sluice_worker.protocol.chunk import Chunk, chunk
from sluice_worker.protocol.instruction import build, dump, schema_value
from sluice_worker.protocol.prompt import Prompt, render
from sluice_worker.protocol.split import split


@dataclass(frozen=True, slots=True)
class Limits:
    """Lengths in tokens: of the text in one request, of its overlap with the one before, and of the answer."""

    chunk_tokens: int
    overlap_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Question:
    """One request to the engine: the labels `types` asked of one chunk."""

    chunk: Chunk
    types: Sequence[Type]
    prompt: Prompt


def plan(
    document: Document, schema: ExtractionSchema, *, card: ModelCard, count_tokens: Callable[[str], int], limits: Limits
) -> list[Question]:
    """The requests for a document, chunk by chunk and within a chunk in schema order, so that prefixes are shared.

    Raises `BadInput` when the schema alone fills the model's context, `Misconfigured` when this worker's engine has no
    such decoding level.
    """
    if schema.decoding not in card.decodings:
        raise Misconfigured(
            f"Schema {schema.ref} asks for {schema.decoding!r} decoding; this worker's engine has "
            f"{', '.join(sorted(card.decodings))}. Publish a version with another level, or run another engine."
        )
    room = _room(schema, card, count_tokens, limits)
    chunks = chunk(
        document.text,
        # A text stands in the prompt as a JSON string: quotes and line ends cost more there.
        measure=lambda text: count_tokens(dump(text)),
        max_tokens=room,
        overlap_tokens=min(limits.overlap_tokens, room // 4),
    )
    return [Question(piece, types, _prompt(schema, types, piece.text)) for piece in chunks for types in _splits(schema)]


def _splits(schema: ExtractionSchema) -> Sequence[Sequence[Type]]:
    if schema.describe_types and schema.task != "KG":
        return [schema.types]
    return split(schema.types, schema.labels_per_request)


def _prompt(schema: ExtractionSchema, types: Sequence[Type], text: str) -> Prompt:
    value = schema_value(schema.task, types, described=schema.describe_types)
    return render(build(schema.task, schema.language, value, text, examples=schema.examples))


def _room(schema: ExtractionSchema, card: ModelCard, count_tokens: Callable[[str], int], limits: Limits) -> int:
    """Tokens left for text beside the longest question of the schema; bos and a few for the seams are taken off."""
    fixed = max(count_tokens(_prompt(schema, types, "").text) for types in _splits(schema)) + 8
    room = min(limits.chunk_tokens, card.context_tokens - limits.answer_tokens - fixed)
    if room < 16:
        raise BadInput(
            f"Schema {schema.ref} takes {fixed} tokens of the model's {card.context_tokens}; with an answer of "
            f"{limits.answer_tokens} nothing is left for text. Lower split_num, or shorten descriptions and examples."
        )
    return room
