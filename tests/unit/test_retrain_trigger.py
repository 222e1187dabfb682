"""When a run is due: by count, by age, inside a window."""

from datetime import datetime

import pytest

from sluice_worker.learning.trigger import Rules, Window, due

NOON = datetime(2026, 3, 1, 12, 0)
NIGHT = datetime(2026, 3, 1, 23, 30)
RULES = Rules(labels=100, age_s=3600.0)


@pytest.mark.parametrize(
    ("new_labels", "age_s", "cause"),
    [
        (100, 0.0, "count"),
        # A bulk import goes past the number and does not stop at it.
        (1734, 0.0, "count"),
        (99, 3599.0, None),
        (1, 3600.0, "age"),
        # Nothing new: the same snapshot again would tell nothing.
        (0, 1e9, None),
    ],
)
def test_a_run_is_due(new_labels: int, age_s: float, cause: str | None) -> None:
    assert due(RULES, new_labels=new_labels, age_s=age_s, moment=NOON) == cause


@pytest.mark.parametrize(
    ("window", "at_noon", "at_night"),
    [("11:00-13:00", True, False), ("22:00-06:00", False, True), ("12:00-12:00", False, False)],
)
def test_it_waits_for_its_window(window: str, at_noon: bool, at_night: bool) -> None:
    rules = Rules(labels=1, age_s=0.0, window=Window.parse(window))
    assert (due(rules, new_labels=5, age_s=0.0, moment=NOON) is not None) is at_noon
    assert (due(rules, new_labels=5, age_s=0.0, moment=NIGHT) is not None) is at_night
