"""The judge of the chaos suite sees each broken promise, and only that."""

from dataclasses import replace

import pytest
from chaos.judge import ENDS, NEW_ONCE, NO_WASTE, NOBODY_LEFT, ONE_RESULT, Evidence, Row, judge
from chaos.receiver import Arrival

DONE, DEAD, GONE = (
    Row("succeeded", 1, True, "d1"),
    Row("dead", 3, False, "d2"),
    Row("cancelled", 0, False, "d3"),
)
FIRST = Arrival("m1", "a", "succeeded", is_verified=True, is_new=True, is_accepted=True)
AGAIN = replace(FIRST, is_new=False)
SECOND = Arrival("m2", "b", "dead", is_verified=True, is_new=True, is_accepted=True)
KEPT = Evidence(
    accepted=["a", "b", "c"],
    rows={"a": DONE, "b": DEAD, "c": GONE},
    ended={"succeeded": 1, "dead": 1, "cancelled": 1},
    open_jobs=0,
    arrivals=[FIRST, AGAIN, SECOND],
    worked={"d1": 1, "d2": 3},
    left_behind=[],
)

# What was seen instead, and which promise that breaks.
BROKEN = [
    ({"accepted": ["a", "b", "c", "lost"]}, ENDS),  # accepted, and nowhere
    ({"rows": {**KEPT.rows, "c": Row("running", 1, False, "d3")}}, ENDS),  # held by nobody, for ever
    ({"open_jobs": 1}, ENDS),  # the ledger's own count says so
    ({"ended": {"succeeded": 1, "dead": 2, "cancelled": 1}}, ENDS),  # ended twice
    ({"ended": {"succeeded": 2, "dead": 0, "cancelled": 1}}, ONE_RESULT),  # committed twice
    ({"rows": {**KEPT.rows, "a": replace(DONE, has_result=False)}}, ONE_RESULT),  # a success without a result
    ({"rows": {**KEPT.rows, "b": replace(DEAD, has_result=True)}}, ONE_RESULT),  # a result without a success
    ({"arrivals": [FIRST, replace(FIRST, webhook_id="m9"), SECOND]}, NEW_ONCE),  # one event under two ids
    ({"arrivals": [FIRST]}, NEW_ONCE),  # an event that never arrived
    ({"arrivals": [FIRST, replace(SECOND, state="succeeded")]}, NEW_ONCE),  # an event that contradicts the ledger
    ({"arrivals": [replace(FIRST, is_verified=False), SECOND]}, NEW_ONCE),  # forged or torn
    ({"worked": {"d1": 2, "d2": 3}}, NO_WASTE),  # more often than it was claimed
    ({"worked": {"d9": 1}}, NO_WASTE),  # a document that nobody submitted
    ({"left_behind": ["sleep 600"]}, NOBODY_LEFT),
]


def test_a_run_that_kept_every_promise() -> None:
    assert judge(KEPT) == []


@pytest.mark.parametrize(("instead", "promise"), BROKEN)
def test_a_broken_promise_is_seen(instead: dict[str, object], promise: str) -> None:
    assert {each.promise for each in judge(replace(KEPT, **instead))} >= {promise}  # type: ignore[arg-type]
