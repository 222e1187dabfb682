"""A training run: from the labels that there are to an adapter that serves, or to the reasons why not."""

from dataclasses import dataclass, field
from typing import Any, Literal

RunState = Literal["queued", "running", "promoted", "rejected", "failed", "cancelled"]
ACTIVE: frozenset[RunState] = frozenset({"queued", "running"})
Cause = Literal["asked", "count", "age"]
StepName = Literal["snapshot", "convert", "train", "evaluate", "gate", "promote"]
STEPS: tuple[StepName, ...] = ("snapshot", "convert", "train", "evaluate", "gate", "promote")
EVERYTHING = "*"
"""The scope of a run over the labels of all schemas, whose adapter serves every schema without one of its own."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far one step is: `share` of its work in 0..1; `detail` is what it found, once it is done."""

    name: StepName
    started_at: float | None = None
    ended_at: float | None = None
    share: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return self.ended_at is not None


@dataclass(frozen=True, slots=True)
class Run:
    """One row. Times are Unix seconds by the database's clock.

    `is_full` trains on all labels from the base model; else the run goes on from the adapter that serves. `upto_label`
    is the last label that it knows of, `snapshot` the digest of those that it took.
    """

    id: str
    scope: str
    cause: Cause
    is_full: bool
    state: RunState
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    upto_label: int | None = None
    snapshot: str | None = None
    adapter: str | None = None
    attempts: int = 0
    worker: str | None = None
    reason: str = ""
    steps: tuple[Step, ...] = ()

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    def step(self, name: StepName) -> Step:
        """The step, begun or not."""
        return next((each for each in self.steps if each.name == name), Step(name))

    @property
    def at(self) -> Step | None:
        """The step that it is at; None before the first and after the last."""
        return next((each for each in reversed(self.steps) if not each.is_done), None)


@dataclass(frozen=True, slots=True)
class RunClaim:
    """A run in this process's hands, until its lease runs out or it is cancelled."""

    run: Run
    fence: int


@dataclass(frozen=True, slots=True)
class Line:
    """Something that a run said; `number` grows."""

    number: int
    at: float
    text: str
