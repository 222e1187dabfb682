"""By which rules a file is counted, and in what they depart from those of published scores."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from sluice_schemas.schema import Task
from sluice_worker.evaluation.clean import clean_facts, distinct_facts
from sluice_worker.evaluation.predictions import Parse
from sluice_worker.evaluation.score import Facts, facts
from sluice_worker.protocol.parse import parse, parse_strict
from sluice_worker.protocol.records import Record

Match = Literal["normal", "set"]
Claims = Callable[[Iterable[Record]], Facts]

LEVELS: dict[Task, tuple[str, ...]] = {
    "NER": ("fact",),
    "RE": ("fact",),
    "SPO": ("fact",),
    "KG": ("fact",),
    "EET": ("trigger",),
    "EE": ("trigger", "argument"),
    "EEA": ("trigger", "argument"),
}
"""What is counted of each task, by the names of `facts`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`match` is the original's match mode; `is_clean` and `is_lenient` go beyond what it can do."""

    task: Task
    match: Match = "normal"
    is_clean: bool = False
    is_lenient: bool = False

    @property
    def claims(self) -> Claims:
        """How records become the facts that are compared."""
        if self.is_clean:
            return partial(clean_facts, self.task)
        return distinct_facts if self.match == "set" else facts

    @property
    def parse(self) -> Parse:
        """How an output becomes records."""
        return parse if self.is_lenient else parse_strict

    @property
    def departures(self) -> list[str]:
        """A sentence for each way in which scores by these rules are not what others publish."""
        cleaned = "--clean: on both sides repeats count once, absent values (NAN, empty) never."
        mended = "--lenient: outputs that are not plain JSON are mended first."
        return [*([cleaned] if self.is_clean else []), *([mended] if self.is_lenient else [])]

    @property
    def standing(self) -> str:
        """One sentence: what scores by these rules may be compared with."""
        if self.departures:
            return "NOT comparable with published scores:"
        mode = "" if self.match == "normal" else ", match mode set"
        if self.task in ("EET", "SPO", "KG"):
            return (
                f"OneKE's own evaluation cannot score {self.task}; its rules for the other tasks, carried over{mode}."
            )
        return f"By OneKE's own rules{mode}: comparable with published scores."
