"""From the labels of a snapshot to what a training reads: converted as the protocol has it, cut as serving cuts."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import orjson

from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Mention
from sluice_schemas.label import Label
from sluice_schemas.labels import oneke
from sluice_schemas.schema import ExtractionSchema
from sluice_schemas.whole_file import whole_file
from sluice_worker.conversion.convert import Lines, Wishes, converter
from sluice_worker.learning.snapshot import Sample
from sluice_worker.protocol.chunk import Chunk, chunk
from sluice_worker.protocol.instruction import dump

NEGATIVES = 1.0
"""All labels of the schema are asked of each text, as in service; the order is drawn."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How serving cuts a text: at most `max_tokens` by `count_tokens`."""

    count_tokens: Callable[[str], int]
    max_tokens: int

    def chunks(self, text: str) -> list[Chunk]:
        return chunk(text, measure=lambda part: self.count_tokens(dump(part)), max_tokens=self.max_tokens)


@dataclass(frozen=True, slots=True)
class Mixture:
    """How many records were written: of new labels, and of what was learned before."""

    new: int
    replayed: int


def write(path: Path, new: Iterable[str], old: Sequence[str], *, replay: float, seed: int) -> Mixture:
    """Writes the new records and, so that `replay` of all are old where there are so many, a draw of the old ones."""
    draw = random.Random(seed)
    fresh = [*new]
    wanted = round(len(fresh) * replay / (1 - replay))
    replayed = draw.sample(old, min(wanted, len(old)))
    mixed = [*fresh, *replayed]
    draw.shuffle(mixed)
    with whole_file(path) as file:
        file.write("".join(mixed).encode())
    return Mixture(len(fresh), len(replayed))


def records(samples: Iterable[Sample], schemas: Mapping[str, ExtractionSchema], *, cut: Cut, seed: int) -> list[str]:
    """Training records of these labels, each a line of JSON (OneKE's protocol, section 8)."""
    converters: dict[str, Lines] = {}
    found: list[str] = []
    for sample in samples:
        ref = sample.label.schema_ref
        if ref not in converters:
            converters[ref] = _converter(schemas[ref], seed)
        for line in annotated(sample.label, schemas[ref], cut):
            found += converters[ref](line)
    return found


def replay_pool(path: Path | None, *, most: int = 200_000) -> list[str]:
    """The records of a file that ops set aside for replay, as `sluice convert` writes them; none without a file."""
    if path is None:
        return []
    with path.open("rb") as lines:
        found = [line.decode() for line in islice(lines, most) if line.strip()]
    for number, line in enumerate(found, start=1):
        try:
            if not {"task", "instruction", "output"} <= orjson.loads(line).keys():
                raise BadInput(f"{path}, line {number} is no training record; write it by `sluice convert`.")
        except (orjson.JSONDecodeError, AttributeError) as exc:
            raise BadInput(f"{path}, line {number} is no JSON object; write it by `sluice convert`.") from exc
    return found


def _converter(schema: ExtractionSchema, seed: int) -> Lines:
    wishes = Wishes(
        task=schema.task,
        language=schema.language,
        split="train",
        split_num=schema.labels_per_request,
        neg_schema=NEGATIVES,
        random_sort=True,
        seed=seed,
        source=schema.ref,
        is_described=schema.describe_types,
        examples=schema.examples,
        text_order=True,
    )
    return converter(wishes, schema.types)


def annotated(label: Label, schema: ExtractionSchema, cut: Cut) -> Iterator[bytes]:
    """OneKE's annotated form of the label, one line for each piece in which serving would read the text.

    A fact whose values stand in two pieces is in neither: no piece lets a model see it whole. Of an event that is true
    of single arguments.
    """
    for piece in cut.chunks(label.document.text):
        yield dump(oneke.write(_part(label, piece), schema.task)).encode()


def _part(label: Label, piece: Chunk) -> Label:
    here = partial(_is_in, piece)
    return label.model_copy(
        update={
            "document": label.document.model_copy(update={"text": piece.text}),
            "entities": tuple(each for each in label.entities if here(each)),
            "relations": tuple(each for each in label.relations if here(each.head) and here(each.tail)),
            "events": tuple(
                each.model_copy(update={"arguments": tuple(one for one in each.arguments if here(one.value))})
                for each in label.events
                if all(here(value) for _, value in each.named_values()[:1])
            ),
        }
    )


def _is_in(piece: Chunk, mention: Mention) -> bool:
    """A value without a place counts where its text stands."""
    if mention.span is None:
        return mention.text in piece.text
    return piece.start <= mention.span.start and mention.span.end <= piece.end
