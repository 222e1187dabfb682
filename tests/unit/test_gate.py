"""The gate: each rule by itself, and what must hold of all of them together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_worker.evaluation import gate
from sluice_worker.evaluation.counting import Row
from sluice_worker.evaluation.gate import Check, Decision, GateRules
from sluice_worker.evaluation.trial import SchemaTrial, Trial
from sluice_worker.settings import Settings

RULES = GateRules()
POOR: list[Row] = [(1, 2, 2)] * 40
GOOD: list[Row] = [(2, 2, 2)] * 40


def schema(ref: str = "own/a@1", rows: Sequence[Row] = POOR, **changes: Any) -> SchemaTrial:
    plain = SchemaTrial(
        ref=ref,
        task="NER",
        rows={"fact": tuple(rows)},
        labels={},
        f1s=(50.0,) * 3,
        documents=len(rows),
        requests=400,
        unparsed=0,
        cut=0,
        values=100,
        ungrounded=1,
        unstable=0,
        failed={},
        seconds=(1.0,) * len(rows),
    )
    return replace(plain, **changes)


def trial(*schemas: SchemaTrial) -> Trial:
    return Trial("m", None, {each.ref: each for each in schemas}, 1.0, 10)


def decide(champion: Trial, challenger: Trial, **more: Any) -> Decision:
    return gate.decide(champion, challenger, rules=more.pop("rules", RULES), **more)


def failed(decision: Decision) -> list[Check]:
    return [each for each in decision.checks if not each.is_passed]


def test_what_is_better_in_all_passes() -> None:
    decision = decide(trial(schema()), trial(schema(rows=GOOD)))
    assert decision.is_better
    assert "50.00 to 100.00" in decision.reason
    assert [each.name for each in decision.checks] == [
        "enough documents",
        "better overall",
        "no schema worse",
        "no more unparsed answers",
        "no more ungrounded values",
        "no more failed documents",
        "no slower",
    ]


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        # One answer may be luck; half a percent of 400 are two.
        ({"unparsed": 3}, "no more unparsed answers", "3 of 400 answers"),
        ({"ungrounded": 4}, "no more ungrounded values", "4.0 % of the values"),
        ({"failed": {"BadInput": 1}}, "no more failed documents", "1 documents"),
        ({"seconds": (2.1,) * 40}, "no slower", "2.10 times"),
    ],
)
def test_one_fault_is_enough(changes: dict[str, Any], name: str, said: str) -> None:
    (check,) = failed(decide(trial(schema()), trial(schema(rows=GOOD, **changes))))
    assert check.name == name
    assert said in check.sentence


@pytest.mark.parametrize("changes", [{"unparsed": 2}, {"ungrounded": 3}, {"seconds": (2.0,) * 40}])
def test_what_is_allowed_is_no_fault(changes: dict[str, Any]) -> None:
    assert decide(trial(schema()), trial(schema(rows=GOOD, **changes))).is_better


def test_a_gain_that_may_be_luck_is_none() -> None:
    lucky: list[Row] = [(1, 2, 2)] * 39 + [(2, 2, 2)]
    (check,) = failed(decide(trial(schema()), trial(schema(rows=lucky))))
    assert (check.name, check.observed) == ("better overall", 0.0)


def test_few_documents_tell_nothing() -> None:
    champion, challenger = (trial(schema(rows=rows[:19])) for rows in (POOR, GOOD))
    assert [each.name for each in failed(decide(champion, challenger))] == ["enough documents"]


def test_a_schema_may_lose_its_tolerance_and_no_more() -> None:
    worse: list[Row] = [(1, 2, 2)] * 38 + [(0, 2, 2)] * 2
    champion = trial(schema("own/a@1"), schema("own/b@1"))
    challenger = trial(schema("own/a@1", GOOD), schema("own/b@1", worse))
    (check,) = failed(decide(champion, challenger))
    assert (check.name, check.schema, check.observed, check.limit) == ("no schema worse", "own/b@1", -2.5, -1.0)
    assert check.sentence == "own/b@1: F1 50.00 to 47.50 on 40 documents, a loss of more than 1, which may be luck."
    assert decide(champion, challenger, rules=GateRules(tolerances={"own/b@1": 2.5})).is_better


def test_the_golden_set_has_a_say() -> None:
    champion, challenger = trial(schema()), trial(schema(rows=GOOD))
    frozen = (trial(schema(rows=GOOD)), trial(schema(rows=POOR)))
    (check,) = failed(decide(champion, challenger, golden=frozen))
    assert (check.name, check.schema) == ("golden set no worse", "own/a@1")
    assert "luck" not in check.sentence
    assert decide(champion, challenger, golden=(frozen[1], frozen[0])).is_better


def test_speed_is_that_of_documents_that_both_could_read() -> None:
    # The champion could not read the first half, in which the challenger is slow.
    champion = trial(schema(failed={"BadInput": 20}, seconds=(None,) * 20 + (1.0,) * 20))
    assert decide(champion, trial(schema(rows=GOOD, seconds=(9.0,) * 20 + (1.0,) * 20))).is_better
    # One failed document hides nothing of the others.
    slow = schema(rows=GOOD, failed={"BadInput": 1}, seconds=(None,) + (9.0,) * 39)
    (check,) = failed(decide(champion, trial(slow)))
    assert (check.name, check.observed) == ("no slower", 9.0)
    (check,) = failed(decide(champion, trial(schema(rows=GOOD, seconds=(1.0,) * 20 + (None,) * 20))))
    assert (check.name, check.observed) == ("no slower", None)


def test_where_nothing_is_to_be_found_nothing_more_may_be() -> None:
    nothing, invented = ([(0, said, 0)] * 5 for said in (0, 1))
    champion = trial(schema(), schema("own/b@1", nothing))
    (check,) = failed(decide(champion, trial(schema(rows=GOOD), schema("own/b@1", invented))))
    assert (check.schema, check.observed) == ("own/b@1", 5)
    assert check.sentence == "own/b@1: nothing stands in its 5 documents; 5 facts were found, 0 before."
    assert decide(champion, trial(schema(rows=GOOD), schema("own/b@1", nothing))).is_better


def test_trials_of_other_documents_are_not_compared() -> None:
    with pytest.raises(ValueError, match="other schemas"):
        decide(trial(schema()), trial(schema("own/b@1")))
    with pytest.raises(ValueError, match="other documents"):
        decide(trial(schema()), trial(schema(rows=[(1, 2, 3)] * 40)))


SMALL = st.integers(0, 3)
PAIRS = st.integers(1, 4).flatmap(
    lambda gold: st.tuples(st.integers(0, gold), st.integers(0, gold), SMALL, SMALL, st.just(gold))
)
DOCUMENTS = st.lists(PAIRS, min_size=20, max_size=30)


def both(documents: Sequence[tuple[int, int, int, int, int]]) -> tuple[list[Row], list[Row]]:
    here = [(mine, mine + wrong, gold) for mine, _, wrong, _, gold in documents]
    there = [(theirs, theirs + wrong, gold) for _, theirs, _, wrong, gold in documents]
    return here, there


@given(DOCUMENTS, DOCUMENTS)
def test_what_holds_of_every_decision(first: Any, second: Any) -> None:
    (a, a2), (b, b2) = both(first), both(second)
    champion = trial(schema("own/a@1", a), schema("own/b@1", b))
    challenger = trial(schema("own/a@1", a2), schema("own/b@1", b2))
    decision = decide(champion, challenger)
    assert decision.is_better == (not failed(decision))
    assert decide(champion, champion).is_better is False
    assert not (decision.is_better and decide(challenger, champion).is_better)
    turned = [Trial("m", None, dict(reversed([*each.schemas.items()])), 1.0, 10) for each in (champion, challenger)]
    assert decide(*turned) == decision
    for each in decision.checks:
        if each.name == "no schema worse" and each.observed is not None and each.observed < -RULES.tolerance:
            assert not decision.is_better


def test_trials_come_back_from_a_file() -> None:
    labels = {"fact": {"person": (1, 2, 3), "买入 / 价格": (0, 0, 1)}}
    found = trial(schema(labels=labels, failed={"BadOutput": 1}, seconds=(None,) + (0.5,) * 39))
    assert Trial.of_json(orjson.loads(orjson.dumps(found.as_json()))) == found


def test_ops_set_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_GATE_TOLERANCES", '{"own/b@1": 2.5}')
    monkeypatch.setenv("SLUICE_GATE_TOLERANCE", "0.5")
    monkeypatch.setenv("SLUICE_GATE_UNGROUNDED", "1")
    monkeypatch.setenv("SLUICE_GATE_LATENCY", "3")
    rules = GateRules.of(Settings.read())
    assert rules == GateRules(tolerance=0.5, tolerances={"own/b@1": 2.5}, ungrounded=1.0, latency=3.0)
