"""What all parts of a run are measured under."""

from dataclasses import dataclass
from pathlib import Path

from bench.shape import Shape


@dataclass(frozen=True, slots=True)
class Conditions:
    """`folder` is the model's; `documents` make one pass; each request gets `max_tokens` answer tokens.

    `batch_tokens` is the micro-batcher's budget, `budget_s` the time for the passes of one part, loading aside.
    """

    folder: Path
    shape: Shape
    device: str
    threads: int
    documents: int
    max_tokens: int
    batch_tokens: int
    budget_s: float
