"""Which labels a training document is asked for beside its own: the draws of OneKE's protocol, section 7."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from sluice_schemas.errors import BadInput, NotFound
from sluice_schemas.schema import Task

T = TypeVar("T")
Choose = Callable[[Collection[str]], list[str]]
"""From the labels that a document is annotated with to all that it is asked for, in the order of asking."""

Rivals = Mapping[str, Sequence[str]]
"""Hard negatives: for a label, those that are easily taken for it."""


class Draws:
    """All random choices of a run, so that one seed settles them. `share` is the share of negatives, 0 to 1."""

    def __init__(self, seed: int, *, share: float, is_shuffled: bool) -> None:
        self.share = share
        self._is_shuffled = is_shuffled
        self._random = random.Random(seed)

    def count(self, tries: int, share: float) -> int:
        """A draw from Binomial(tries, share)."""
        return sum(self._random.random() < share for _ in range(tries))

    def sample(self, candidates: Sequence[T], size: int) -> list[T]:
        """`size` of the candidates, each choice equally likely, in their order."""
        if size >= len(candidates):
            return [*candidates]
        return [candidates[place] for place in sorted(self._random.sample(range(len(candidates)), size))]

    def some(self, candidates: Sequence[T], *, of: int, at_least: int = 0, share: float | None = None) -> list[T]:
        """Binomial(`of`, share) of the candidates; a share of 1 takes all, and so does one below 0, as OneKE has it."""
        share = self.share if share is None else share
        if share < 0 or share >= 1:
            return [*candidates]
        return self.sample(candidates, max(self.count(of, share), at_least))

    def sorted(self, labels: Collection[str]) -> list[str]:
        """Ascending by code point, or shuffled when the run is."""
        return self.shuffled(sorted(labels))

    def shuffled(self, names: Sequence[str]) -> list[str]:
        """As given, or shuffled when the run is."""
        mixed = [*names]
        if self._is_shuffled:
            self._random.shuffle(mixed)
        return mixed


@dataclass(frozen=True, slots=True)
class Sampled:
    """A document's own labels, and Binomial(all labels, `share`) of the others; none at a share of 0."""

    known: Sequence[str]
    draws: Draws
    share: float

    def __call__(self, positives: Collection[str]) -> list[str]:
        if self.share == 0:
            return self.draws.sorted(positives)
        others = [name for name in self.known if name not in positives]
        drawn = self.draws.some(others, of=len(self.known), at_least=0 if positives else 1, share=self.share)
        return self.draws.sorted([*positives, *drawn])


@dataclass(frozen=True, slots=True)
class Hard:
    """A document's own labels, their rivals, and `extras` of the rest; without own labels half the share of all."""

    known: Sequence[str]
    draws: Draws
    rivals: Rivals
    extras: int

    def __call__(self, positives: Collection[str]) -> list[str]:
        if not positives:
            share = self.draws.share / 2
            return self.draws.sorted(self.draws.some(self.known, of=len(self.known), at_least=1, share=share))
        chosen = dict.fromkeys(positives)
        chosen.update(dict.fromkeys(rival for name in positives for rival in self.rivals.get(name, ())))
        rest = [name for name in self.known if name not in chosen]
        return self.draws.sorted([*chosen, *self.draws.sample(rest, self.extras)])


def read_rivals(path: Path, *, task: Task, source: str) -> Rivals:
    """Hard negatives from `{label: [labels]}`, or from IEPile's `{task: {dataset: {label: [labels]}}}`.

    Of the latter those of `task` and `source` are taken. Raises `NotFound` or `BadInput`.
    """
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError as exc:
        raise NotFound(f"There is no file of hard negatives {path}; check --hard-negatives.") from exc
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"{path}: this is not JSON ({exc}).") from exc
    if isinstance(found, dict) and found and all(isinstance(each, dict) for each in found.values()):
        found = _inner(path, found, task, source)
    if not isinstance(found, dict) or not all(_is_names(each) for each in found.values()):
        raise BadInput(f"{path}: hard negatives are an object that names for each label a list of labels.")
    return {label: tuple(dict.fromkeys(rivals)) for label, rivals in found.items()}


def _inner(path: Path, nested: Mapping[str, Any], task: Task, source: str) -> Any:
    if task not in nested:
        raise BadInput(f"{path}: there are hard negatives for {', '.join(nested)}, not for {task}.")
    if source not in nested[task]:
        known = ", ".join([*nested[task]][:8])
        raise BadInput(f"{path}: {task} has hard negatives for {known}, not for {source!r}; name one with --source.")
    return nested[task][source]


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
