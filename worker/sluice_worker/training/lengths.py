"""Fits instructions to a training's length: the template and the answer stay whole, and what is left out is counted."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from sluice_schemas.errors import Misconfigured
from sluice_schemas.schema import Task
from sluice_worker.engine.encoder import Encoder
from sluice_worker.protocol.instruction import dump
from sluice_worker.protocol.parse import parse_strict
from sluice_worker.protocol.prompt import render
from sluice_worker.protocol.records import values_of
from sluice_worker.protocol.sentence import sentence_ends
from sluice_worker.training.exercise import Exercise
from sluice_worker.training.sequence import Sequence

Reason = Literal["no instruction or no answer", "answer too long", "text too long", "text too long for its answer"]


@dataclass(frozen=True, slots=True)
class Lengths:
    """The most tokens of a whole sequence, of its answer and of its prompt, end marks counted.

    OneKE's scripts take 700, 300 and 400.
    """

    sequence: int = 700
    answer: int = 300
    prompt: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.answer < self.sequence:
            raise Misconfigured(
                f"An answer of up to {self.answer} tokens leaves no room for a prompt in a sequence of "
                f"{self.sequence}. Make the sequence longer than the answer."
            )

    def over(self, sequence: Sequence) -> int:
        """How many tokens of the text are too many; none where it is 0 or less."""
        prompt = sequence.answer_start - self.prompt if self.prompt else 0
        return max(len(sequence) - self.sequence, prompt)


@dataclass(slots=True)
class Tally:
    """How many exercises were kept, shortened and dropped, and why."""

    kept: int = 0
    shortened: int = 0
    dropped: Counter[Reason] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Counts what another has counted."""
        self.kept += other.kept
        self.shortened += other.shortened
        self.dropped += other.dropped

    def report(self) -> str:
        """A sentence for people."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.dropped.items()))
        return (
            f"{self.kept} exercises kept, {self.shortened} of them with a shortened text; "
            f"{self.dropped.total()} left out{f' ({reasons})' if reasons else ''}."
        )


@dataclass(slots=True)
class Fitting:
    """Turns exercises into sequences that fit, and keeps count of what it had to shorten or leave out."""

    encoder: Encoder
    lengths: Lengths
    form: str = "training"
    tally: Tally = field(default_factory=Tally)

    def fit(self, exercise: Exercise) -> Sequence | None:
        """The sequence, or None where it cannot fit.

        Of a text that is too long the last sentences go, as long as no value of the answer stands in them: a model must
        not learn to answer what it cannot read.
        """
        fitted = self._fit(exercise)
        if isinstance(fitted, str):
            self.tally.dropped[fitted] += 1
            return None
        self.tally.kept += 1
        return fitted

    def _fit(self, exercise: Exercise) -> Sequence | Reason:
        if not exercise.instruction or not exercise.answer:
            return "no instruction or no answer"
        whole = self._sequence(exercise.instruction, exercise.answer)
        if len(whole) - whole.answer_start > self.lengths.answer:
            return "answer too long"
        if self.lengths.over(whole) <= 0:
            return whole
        return self._shorten(exercise)

    def _shorten(self, exercise: Exercise) -> Sequence | Reason:
        asked: dict[str, Any] = orjson.loads(exercise.instruction)
        text = str(asked["input"])
        ends = sentence_ends(text)

        def sequence(kept: int) -> Sequence:
            return self._sequence(dump({**asked, "input": text[: ends[kept]].rstrip()}), exercise.answer)

        # How many sentences fit: the length grows with each.
        fitting = bisect_left(range(len(ends)), 1, key=lambda kept: self.lengths.over(sequence(kept)))
        if not fitting:
            return "text too long"
        if _names_what_is_cut(exercise.task, exercise.answer, text, ends[fitting - 1]):
            return "text too long for its answer"
        self.tally.shortened += 1
        return sequence(fitting - 1)

    def _sequence(self, instruction: str, answer: str) -> Sequence:
        prompt = render(instruction, form=self.form)
        asked = self.encoder.prompt(prompt)
        return Sequence((*asked, *self.encoder.text(answer), self.encoder.end(prompt)), len(asked))


def _names_what_is_cut(task: Task, answer: str, text: str, end: int) -> bool:
    """Whether a value of the answer stands anywhere in what is cut off: nobody knows which place was meant."""
    values = (value for record in parse_strict(task, answer).records for value in values_of(record))
    return any(isinstance(value, str) and value in text and text.rfind(value) + len(value) > end for value in values)
