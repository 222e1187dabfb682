"""Whose turn it is, for the twin in memory: `rows.lua` and `claim.lua` say how and why."""

from collections.abc import Mapping
from typing import get_args

from sluice_schemas.job import Priority
from sluice_schemas.ledger.memory_rows import JobRow
from sluice_schemas.ledger.records import Limits

CLASSES: tuple[Priority, ...] = get_args(Priority)


class Lines:
    """The jobs that wait for a worker, a line for each class; within one, tenants take turns by what they have had."""

    def __init__(self) -> None:
        self._lines: dict[Priority, dict[str, JobRow]] = {each: {} for each in CLASSES}
        self._reached = dict.fromkeys(CLASSES, 0.0)
        self._served: dict[tuple[Priority, str], float] = {}
        self._spent = dict.fromkeys(CLASSES, 0.0)
        self._last = 0.0

    def lengths(self) -> Mapping[str, int]:
        return {each: len(line) for each, line in self._lines.items()}

    def add(self, row: JobRow) -> None:
        kind = row.order.priority
        if not self._lines[kind]:
            self._spent[kind] = max(self._spent[kind], self._last)
        if row.start is None:
            flow = kind, row.order.tenant
            row.start = max(self._reached[kind], self._served.get(flow, 0.0))
            self._served[flow] = row.start + row.cost
        self._lines[kind][row.id] = row

    def remove(self, row: JobRow) -> None:
        self._lines[row.order.priority].pop(row.id, None)

    def next(self, limits: Limits) -> JobRow | None:
        """Takes the first of the class that has spent least for its weight out of its line."""
        waiting = [each for each in CLASSES if self._lines[each]]
        if not waiting:
            return None
        kind = min(waiting, key=lambda each: self._spent[each])
        row = min(self._lines[kind].values(), key=lambda each: (each.start or 0.0, each.id))
        weight = {
            "interactive": limits.weight_interactive,
            "bulk": limits.weight_bulk,
            "replay": limits.weight_replay,
        }
        self._reached[kind], self._last = row.start or 0.0, self._spent[kind]
        self._spent[kind] += row.cost / weight[kind]
        self.remove(row)
        return row
