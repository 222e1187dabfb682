"""When a run is due. Pure."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Self

from sluice_worker.learning.run import Cause


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day by the host's clock, [start, end); one that ends before it starts goes over midnight."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `22:00-06:00`. Raises `ValueError`."""
        start, _, end = text.partition("-")
        return cls(time.fromisoformat(start.strip()), time.fromisoformat(end.strip()))

    def holds(self, moment: datetime) -> bool:
        now = moment.time()
        if self.start <= self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


@dataclass(frozen=True, slots=True)
class Rules:
    """A run is due for `labels` new ones, or for any once the last snapshot is `age_s` old, inside the window."""

    labels: int
    age_s: float
    window: Window | None = None


def due(rules: Rules, *, new_labels: int, age_s: float, moment: datetime) -> Cause | None:
    """Why a run should begin now, or None.

    `new_labels` counts since the last snapshot: a count by `total % labels` misses what is imported in bulk (Label
    Studio ML #529). `age_s` is that of the last snapshot, or without one that of the oldest label.
    """
    if rules.window is not None and not rules.window.holds(moment):
        return None
    if new_labels >= rules.labels:
        return "count"
    return "age" if new_labels and age_s >= rules.age_s else None
