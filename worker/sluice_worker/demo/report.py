"""What the demo measured: speed, and strict F1 against the gold of its own documents."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson

from sluice_schemas.extraction import Extraction
from sluice_worker.evaluation.score import Score, Tally, gold_facts
from sluice_worker.evaluation.serve import records
from sluice_worker.protocol.answer import ANNOTATION_FIELD

HERE = Path(__file__).parent
DOCUMENTS = HERE / "documents.jsonl"
GOLD = HERE / "gold.jsonl"


@dataclass(frozen=True, slots=True)
class Report:
    """`outside_share` is the part of the workers' time per document that was not spent waiting for the engine."""

    documents: int
    seconds: float
    webhooks: int
    held: Mapping[str, int]
    outside_share: float
    f1: Mapping[str, float]

    @property
    def documents_per_s(self) -> float:
        return self.documents / self.seconds

    def as_json(self) -> bytes:
        """For machines: `.build/demo.json`."""
        fields = {
            "documents": self.documents,
            "seconds": round(self.seconds, 2),
            "documents_per_s": round(self.documents_per_s, 2),
            "webhooks": self.webhooks,
            "knowledge": self.held,
            "outside_engine_share": round(self.outside_share, 4),
            "strict_f1": self.f1,
        }
        return orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read(results: Path) -> list[Extraction]:
    """The extractions that `sluice submit --out` wrote."""
    return [Extraction.decode(line) for line in results.read_bytes().splitlines()]


def held(knowledge_url: str) -> dict[str, int]:
    """How many documents, entities, facts and events a knowledge base holds."""
    told = httpx.get(f"{knowledge_url}/health", timeout=30.0, trust_env=False).raise_for_status().json()
    return {name: told[name] for name in ("documents", "entities", "facts", "events")}


def make(extractions: Sequence[Extraction], *, seconds: float, webhooks: int, held: Mapping[str, int]) -> Report:
    """A report on a run that took `seconds` from the first submit to the last result."""
    total_s = sum(each.usage.total_s for each in extractions)
    engine_s = sum(each.usage.engine_s for each in extractions)
    outside = (total_s - engine_s) / total_s if total_s else 0.0
    return Report(len(extractions), seconds, webhooks, held, outside, scores(extractions))


def scores(extractions: Iterable[Extraction]) -> dict[str, float]:
    """`TASK language` (events with their level) -> strict micro-F1 over the documents that have gold."""
    gold = {line["id"]: line for line in map(orjson.loads, GOLD.read_bytes().splitlines())}
    tallied: dict[str, Score] = {}
    for each in extractions:
        annotation = gold.get(each.document_id, {}).get(ANNOTATION_FIELD[each.task])
        if annotation is not None:
            key = f"{each.task} {each.language}"
            tallied.setdefault(key, Score()).add(records(each), gold_facts(each.task, annotation))
    return {name: round(tally.f1, 4) for name, tally in _levels(tallied)}


def _levels(tallied: Mapping[str, Score]) -> Iterable[tuple[str, Tally]]:
    for key, score in sorted(tallied.items()):
        for level, tally in score.tallies.items():
            yield (key if level == "fact" else f"{key} {level}"), tally
