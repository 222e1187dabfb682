"""g. How documents/s grows: with documents at once, with the length of their texts, with the types asked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench import workload
from bench.fleet import Fleet, Kind, Model
from bench.queue_report import table
from bench.rounds import Flight, Turn, fly, race, rate, ratio
from bench.throughput import Pass
from rich.table import Table

from sluice_schemas import shelf
from sluice_schemas.document import Document
from sluice_schemas.schema import ExtractionSchema, Type
from sluice_worker.engine.request import Request
from sluice_worker.plan import Limits, plan
from sluice_worker.training import generator

TINY: Model = "sluice-tiny"
CONCURRENCY = {1: 4, 4: 10, 16: 24, 64: 64}
"""Documents at once, and how many there are of them in a pass."""
LENGTHS = {1: 32, 4: 8, 16: 2}
"""How many texts make one document, and how many documents there are in a pass: about as many texts in each."""
TYPES = {4: 24, 12: 12, 36: 4}
"""Types in the schema, and how many documents there are in a pass: about as many requests in each."""
MARK = 40_000
SWEEPS = {"concurrency": CONCURRENCY, "length": LENGTHS, "types": TYPES}
NAMES = {"concurrency": "at once", "length": "x text", "types": "types"}
ENGLISH = "news/entities-en@1"
OTHERS = (
    "vehicle",
    "animal",
    "plant",
    "chemical",
    "language",
    "award",
    "sport",
    "food",
    "weapon",
    "building",
    "river",
    "island",
    "song",
    "festival",
    "gene",
    "virus",
    "symptom",
    "currency",
    "planet",
    "bridge",
    "airport",
    "school",
)
"""Types of entities that the shipped schema does not have."""


def figures(fleet: Fleet) -> dict[str, Any]:
    """For each engine and sweep documents/s by point, and how often that of the first point it is."""
    found: dict[str, Any] = {"rounds": fleet.scale.rounds}
    for kind in fleet.scale.kinds:
        passes = race(dict(_turns(fleet, kind)), rounds=fleet.scale.rounds)
        found[kind] = {sweep: {str(n): _point(passes, sweep, n) for n in points} for sweep, points in SWEEPS.items()}
    return found


def tables(found: Mapping[str, Any]) -> list[Table]:
    """One, a row for each point."""
    kinds = [each for each in found if each != "rounds"]
    heads = ("sluice-tiny, as served", "requests", *(part for kind in kinds for part in (kind, "to first")))
    rows = []
    for sweep, points in SWEEPS.items():
        for n in points:
            each = [found[kind][sweep][str(n)] for kind in kinds]
            speeds = [part for one in each for part in (f"{one['documents_per_s']:.2f}", f"{one['to_first']:.2f}")]
            rows.append((f"{n} {NAMES[sweep]}", f"{each[0]['requests']:.1f}", *speeds))
    return [table("g. Documents/s; `requests` is how many a document takes", heads, rows)]


def _point(passes: Mapping[str, Sequence[Pass]], sweep: str, n: int) -> dict[str, float]:
    here, first = passes[f"{sweep} {n}"], passes[f"{sweep} {next(iter(SWEEPS[sweep]))}"]
    return {
        "documents": here[0].documents,
        "requests": here[0].requests / here[0].documents,
        "documents_per_s": rate(here),
        "to_first": ratio(here, first),
    }


def _turns(fleet: Fleet, kind: Kind) -> Iterator[tuple[str, Turn]]:
    for place, (sweep, points) in enumerate(SWEEPS.items()):
        for n, count in points.items():
            mark = MARK + 3000 * place + 30 * n
            yield f"{sweep} {n}", _turn(fleet, kind, sweep, n=n, count=fleet.scale.of(count), mark=mark)


def _turn(fleet: Fleet, kind: Kind, sweep: str, *, n: int, count: int, mark: int) -> Turn:
    def turn(number: int) -> Flight:
        given = _given(sweep, n=n, count=count, mark=mark + number)
        return fly(
            fleet.engine(kind, TINY),
            [_asked(fleet, document, schema) for document, schema in given],
            most=n if sweep == "concurrency" else None,
        )

    return turn


def _given(sweep: str, *, n: int, count: int, mark: int) -> list[tuple[Document, ExtractionSchema]]:
    if sweep == "length":
        return [(each, shelf.find(ENGLISH)) for each in _long(n, count, mark)]
    if sweep == "types":
        return [(each, _wide(n)) for each in _english(count, mark)]
    return [(each, shelf.find(ref)) for each, ref in workload.documents(count, mark=mark)]


def _asked(fleet: Fleet, document: Document, schema: ExtractionSchema) -> list[Request]:
    intake = fleet.intake(TINY)
    advice = intake.card
    limits = Limits(chunk_tokens=advice.chunk_tokens, overlap_tokens=0, answer_tokens=advice.answer_tokens)
    questions = plan(document, schema, card=advice, count_tokens=intake.count_tokens, limits=limits)
    return [Request(each.prompt, limits.answer_tokens, each.grammar, each.is_distinct) for each in questions]


def _long(n: int, count: int, mark: int) -> Iterator[Document]:
    """`count` documents, each of `n` texts."""
    texts = _english(n * count, mark)
    for i in range(count):
        text = "\n".join(each.text for each in texts[i * n : (i + 1) * n])
        yield Document(id=f"{mark}-long-{i}", text=text, language="en")


def _english(count: int, mark: int) -> list[Document]:
    """Texts of English news, somewhat less than a third of what there is."""
    found = [document for document, ref in workload.documents(8 * count, mark=mark) if ref == ENGLISH]
    return found[:count]


def _wide(n: int) -> ExtractionSchema:
    """The shipped English schema with `n` types of entities."""
    shipped = shelf.find(ENGLISH)
    types = tuple(Type(name=name) for name in _names()[:n])
    return shipped.model_copy(update={"id": f"bench/types-{n}", "types": types, "flat": False})


def _names() -> list[str]:
    """The shipped types, those of the texts that sluice-tiny was trained on, and others that it never met."""
    shipped = [each.name for each in shelf.find(ENGLISH).types]
    return [*dict.fromkeys([*shipped, *generator.inventory("en").entity_types, *OTHERS])]
