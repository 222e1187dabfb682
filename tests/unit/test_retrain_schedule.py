"""Looking whether a run is due: each scope by itself, and a database that is away keeps nobody from looking again."""

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from sluice_schemas.errors import Conflict, Unavailable
from sluice_worker.learning.run import Cause, Run
from sluice_worker.learning.schedule import Schedule
from sluice_worker.learning.trigger import Rules


@dataclass
class Labels:
    new: dict[str, int]
    is_away: bool = False

    def count_since(self, label_id: int, *, scope: str) -> int:
        if self.is_away:
            raise Unavailable("The database of labels does not answer.")
        return self.new[scope] - label_id

    def oldest_at(self, scope: str) -> float | None:
        return 0.0 if self.new[scope] else None


@dataclass
class Runs:
    upto: dict[str, int] = field(default_factory=dict)
    created: list[tuple[str, Cause]] = field(default_factory=list)
    is_active: bool = False

    def last_snapshot(self, scope: str) -> Run | None:
        if scope not in self.upto:
            return None
        return Run("r", scope, "count", False, "promoted", created_at=1e12, upto_label=self.upto[scope])

    def create(self, scope: str, *, cause: Cause) -> Run:
        if self.is_active:
            raise Conflict("one is under way")
        self.created.append((scope, cause))
        return Run("new", scope, cause, False, "queued", created_at=0.0)


def look(labels: Labels, runs: Runs, *, age_s: float = 1e18) -> list[Run]:
    schedule = Schedule(labels, runs, ("*", "own/a@1"), Rules(100, age_s))  # type: ignore[arg-type]
    return schedule.look()


def test_each_scope_is_counted_since_its_own_snapshot() -> None:
    runs = Runs(upto={"*": 950})
    look(Labels({"*": 1000, "own/a@1": 120}), runs)
    assert runs.created == [("own/a@1", "count")]


def test_without_a_snapshot_the_oldest_label_tells_the_age() -> None:
    runs = Runs()
    look(Labels({"*": 1, "own/a@1": 0}), runs, age_s=3600.0)
    assert runs.created == [("*", "age")]


@pytest.mark.parametrize(
    ("is_away", "is_active", "logged"), [(True, False, ["retrain.unlooked"] * 2), (False, True, [])]
)
def test_what_is_in_the_way_stops_nothing(is_away: bool, is_active: bool, logged: list[str]) -> None:
    runs = Runs(is_active=is_active)
    with capture_logs() as logs:
        assert look(Labels({"*": 500, "own/a@1": 500}, is_away), runs) == []
    assert [each["action"] for each in logs if each["log_level"] == "warning"] == logged
