"""Scores of small files, worked out by hand, and what stands beside them."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import golden_evaluate
import golden_vectors
import pytest
from rich.cells import cell_len
from rich.console import Console

from sluice_schemas.schema import Task
from sluice_worker.evaluation import counting, oneke, table
from sluice_worker.evaluation.comparison import compare
from sluice_worker.evaluation.outcome import Outcome, as_text, scored
from sluice_worker.evaluation.predictions import Predictions, read
from sluice_worker.evaluation.resample import Intervals
from sluice_worker.evaluation.rules import Rules
from sluice_worker.evaluation.score import Tally, countable
from sluice_worker.protocol.answer import answer
from sluice_worker.protocol.instruction import dump

INSTRUCTION = dump({"instruction": "i", "schema": [], "input": "text"})
Pairs = list[tuple[Any, Any]]
"""Gold and answer of one document each."""


def files(pairs: Pairs, **fields: Any) -> list[bytes]:
    """One line a document; an answer that is a string stands as it is."""
    return [
        dump(
            {
                "id": str(number),
                "instruction": INSTRUCTION,
                "label": dump(gold),
                "output": said if isinstance(said, str) else dump(said),
                **fields,
            }
        ).encode("utf-8", "backslashreplace")
        for number, (gold, said) in enumerate(pairs)
    ]


def outcome(rules: Rules, lines: list[bytes], *, sort_by: str = "") -> Outcome:
    predictions = read(lines, task=rules.task, parse=rules.parse, sort_by=sort_by)
    counts = counting.count(predictions, rules.claims)
    groups = counting.sections(predictions, counts) if sort_by else []
    whole, parts = scored(counting.total(predictions, counts)), [scored(each) for each in groups]
    return Outcome(Path("p.jsonl"), rules, predictions, whole, parts, counts)


def tallies(rules: Rules, pairs: Pairs) -> dict[str, tuple[int, int, int]]:
    whole = outcome(rules, files(pairs)).whole.section
    found = {level: whole.tally(level) for level in whole.rows}
    return {level: (each.correct, each.predicted, each.gold) for level, each in found.items()}


def entities(*pairs: tuple[Any, str]) -> list[dict[str, Any]]:
    return [{"entity": text, "entity_type": kind} for text, kind in pairs]


def event(kind: str, trigger: Any, **roles: Any) -> dict[str, Any]:
    parts = [{"argument": value, "role": role} for role, values in roles.items() for value in values]
    return {"event_type": kind, "event_trigger": trigger, "arguments": parts}


def triples(*found: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [{"head": head, "relation": relation, "tail": tail} for head, relation, tail in found]


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        (Tally(1, 1, 6), (100.0, 16.67, 28.58)),  # F1 of the rounded P and R; unrounded it is 28.57
        (Tally(2, 3, 4), (66.67, 50.0, 57.14)),
        (Tally(0, 0, 0), (0.0, 0.0, 0.0)),  # nothing asked, nothing said
        (Tally(0, 3, 0), (0.0, 0.0, 0.0)),
        (Tally(1, 7, 1), (14.29, 100.0, 25.01)),
    ],
)
def test_figures_round_as_the_original_does(tally: Tally, expected: tuple[float, ...]) -> None:
    found = oneke.figures(tally)
    assert (found.precision, found.recall, found.f1) == expected


ANN_TWICE = (entities(("Ann", "p"), ("Acme", "o")), {"p": ["Ann", "Ann"], "o": []})
"""A repeat is wrong, and Acme is missed."""


@pytest.mark.parametrize(
    ("task", "pairs", "expected"),
    [
        ("NER", [ANN_TWICE], {"fact": (1, 2, 2)}),
        ("NER", [(entities(("Ann", "p"), ("Ann", "p")), {"p": ["Ann"]})], {"fact": (1, 1, 2)}),  # said once, right once
        ("NER", [(entities(("Ann", "p")), {"p": [" Ann", "ann", ""]})], {"fact": (0, 3, 1)}),  # to the character
        ("NER", [(entities(("Ann", "p")), "no JSON"), (entities(), "{}")], {"fact": (0, 0, 1)}),
        ("NER", [(entities((5, "p"), (None, "p")), {"p": ["5", 5]})], {"fact": (0, 1, 2)}),  # no string is never right
        (
            "RE",
            [
                (
                    triples(("a", "r", "b"), ("c", "r", "d")),
                    {"r": [{"head": "a", "tail": "b"}, {"subject": "c", "object": "d"}, {"head": "a"}, 1]},
                )
            ],
            {"fact": (2, 3, 2)},  # either key pair; a missing tail is ""
        ),
        ("SPO", [(triples(("a", "r", "b")), {"r": [{"subject": "a", "object": "b"}]})], {"fact": (1, 1, 1)}),
        (
            "KG",
            [
                (
                    triples(("a", "x", "1"), ("a", "y", "2"), ("a", "y", "3")),
                    {"T": {"a": {"x": "1", "y": ["2", "4"], "z": "NaN"}, "b": {}}},
                )
            ],
            {"fact": (2, 3, 3)},  # one triple a value
        ),
        ("EET", [([event("e", "t")], {"e": ["t", "u"]})], {"trigger": (1, 2, 1)}),
        (
            "EE",
            [
                (
                    [event("e", "t", r=["a", "b"]), event("e", "u", r=["c"])],
                    {"e": [{"trigger": "t", "arguments": {"r": ["a", "c"], "s": "NAN"}}, {"trigger": "NAN"}]},
                )
            ],
            {"trigger": (1, 2, 2), "argument": (2, 2, 3)},  # an argument of another event of its type is right
        ),
        (
            "EE",
            [
                (
                    [event("e", "t", r=[{"x": [1]}, [2]])],
                    {"e": [{"trigger": "t", "arguments": {"r": [{"x": [1.0]}, 3]}}]},
                )
            ],
            {"trigger": (1, 1, 1), "argument": (1, 2, 2)},  # objects are values as others
        ),
        (
            "EEA",
            [([event("e", "t", r=["a"])], {"e": [{"trigger": "t", "arguments": {"r": "a"}}]})],
            {"trigger": (0, 1, 1), "argument": (1, 1, 1)},  # the original's gold has no trigger
        ),
    ],
)
def test_what_counts_as_right(task: Task, pairs: Pairs, expected: Mapping[str, tuple[int, ...]]) -> None:
    assert tallies(Rules(task), pairs) == expected


def test_the_set_mode_counts_repeats_once_on_both_sides() -> None:
    gold = [event("e", "t", r=["a"]), event("e", "t", r=["a"])]
    said = {"e": [{"trigger": "t", "arguments": {"r": ["a", "a", "b"]}}] * 3}
    assert tallies(Rules("EE"), [(gold, said)]) == {"trigger": (2, 3, 2), "argument": (2, 9, 2)}
    assert tallies(Rules("EE", "set"), [(gold, said)]) == {"trigger": (1, 1, 1), "argument": (1, 2, 1)}


@pytest.mark.parametrize(
    ("task", "gold", "said", "expected"),
    [
        # repeats and empty values on both sides
        ("NER", entities(("Ann", "p"), ("Ann", "p"), ("", "p")), {"p": ["Ann", "Ann", "NAN"]}, {"fact": (1, 1, 1)}),
        # half a triple is none
        ("RE", triples(("a", "r", ""), ("a", "r", "b")), {"r": [{"head": "a"}]}, {"fact": (0, 0, 1)}),
        # what the reader of answers leaves out is no gold
        ("KG", triples(("a", "x", "无"), ("a", "x", "1")), {"T": {"a": {"x": ["无", "1"]}}}, {"fact": (1, 1, 1)}),
        # "" in the gold and "NAN" in the answer say the same; an event with nothing is none
        (
            "EE",
            [event("e", "", r=["a", "a"]), event("f", "")],
            {"e": [{"trigger": "NAN", "arguments": {"r": "a"}}], "f": [{"trigger": "NAN", "arguments": {}}]},
            {"trigger": (1, 1, 1), "argument": (1, 1, 1)},
        ),
        # no trigger is looked at
        (
            "EEA",
            [event("e", "t", r=["a"]), event("f", "u")],
            {"e": [{"trigger": "t", "arguments": {"r": "a"}}], "f": [{"trigger": "x", "arguments": {}}]},
            {"trigger": (1, 1, 1), "argument": (1, 1, 1)},
        ),
        ("EET", [event("e", ""), event("e", "t")], {"e": ["NAN", "t"]}, {"trigger": (1, 1, 1)}),
    ],
)
def test_clean_records_say_what_is_meant(task: Task, gold: Any, said: Any, expected: Mapping[str, Any]) -> None:
    assert tallies(Rules(task, is_clean=True), [(gold, said)]) == expected


RECORDED = [
    vector for vector in golden_vectors.load(golden_vectors.OWN) if vector.name.endswith("-test-splitnone.json")
]


@pytest.mark.parametrize("vector", RECORDED, ids=lambda vector: vector.name)
def test_clean_perfect_answers_have_every_fact_whose_label_was_asked(vector: golden_vectors.Vector) -> None:
    """The original counts some of them wrong."""
    task = vector.content["task"]
    lines = []
    for record in vector.content["expected"]["records"]:
        asked = json.loads(record["instruction"])
        said = dump(answer(task, asked["schema"], json.loads(record["label"]), asked["input"]))
        lines.append(dump({**record, "output": said}).encode())
    found = outcome(Rules(task, is_clean=True), lines)
    assert found.whole.section.documents
    for each in found.labels:
        is_asked = all(part in dump(vector.content["input"]["schema_lines"]) for part in each.label.split(" / "))
        assert each.tally.correct == each.tally.predicted
        assert each.tally.correct == each.tally.gold or not is_asked, each


def test_an_object_equals_another_whatever_the_order_of_its_keys() -> None:
    assert countable({"a": [1, {"b": None}], "c": True}) == countable({"c": 1, "a": [1.0, {"b": None}]})
    assert countable([1, [2]]) != countable([[1], 2])
    assert countable({"a": 1}) != countable(["a", 1])
    assert countable([[]] * 2) != countable([[[]]])
    assert countable("a") == "a"
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    assert countable(deep) == countable([deep[0]])


def test_lenient_reading_mends_what_strict_reading_refuses() -> None:
    pairs: Pairs = [(entities(("Ann", "p")), "```json\n{'p': ['Ann']}\n```")]
    assert tallies(Rules("NER"), pairs) == {"fact": (0, 0, 1)}
    assert tallies(Rules("NER", is_lenient=True), pairs) == {"fact": (1, 1, 1)}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (Rules("NER"), "comparable with published"),
        (Rules("RE", "set"), "match mode set"),
        (Rules("SPO"), "cannot score SPO"),
        (Rules("NER", is_clean=True), "NOT comparable with published scores:\n  --clean"),
        (Rules("NER", is_lenient=True), "NOT comparable with published scores:\n  --lenient"),
    ],
)
def test_the_rules_stand_above_the_scores(rules: Rules, said: str) -> None:
    assert said in shown(outcome(rules, files([(entities(), "{}")] if rules.task == "NER" else [([], "{}")])))


def shown(found: Outcome) -> str:
    out = io.StringIO()
    table.show(Console(file=out, width=80, markup=False, emoji=False, highlight=False), found)
    return out.getvalue()


def test_labels_and_confusions() -> None:
    pairs: Pairs = [
        (entities(("Ann", "p"), ("Acme", "o"), ("Oslo", "l")), {"p": ["Ann", "Acme"], "l": ["Oslo"]}),
        (entities(("Acme", "o"), ("Bob", "p")), {"p": ["Acme"], "l": ["Acme", "Eve"]}),
    ]
    found = outcome(Rules("NER"), files(pairs))
    assert [(each.label, each.tally) for each in found.labels] == [
        ("o", Tally(0, 0, 2)),
        ("p", Tally(1, 3, 2)),
        ("l", Tally(1, 3, 1)),
    ]
    assert [(each.gold, each.predicted, each.count) for each in found.confusions] == [("o", "p", 2), ("o", "l", 1)]


def test_confusions_of_arguments_name_type_and_role_and_of_triggers_not_the_absent_one() -> None:
    gold = [event("e", "", r=["a", "b"])]
    said = {"f": [{"trigger": "", "arguments": {"r": "a"}}], "e": [{"trigger": "x", "arguments": {"s": "b"}}]}
    found = outcome(Rules("EE"), files([(gold, said)]))
    assert [(each.level, each.gold, each.predicted) for each in found.confusions] == [
        ("argument", "e / r", "e / s"),
        ("argument", "e / r", "f / r"),
    ]


def test_groups_stand_after_the_total_and_none_takes_its_name() -> None:
    good: Pairs = [(entities(("Ann", "p")), {"p": ["Ann"]})]
    bad: Pairs = [(entities(("Ann", "p")), "no JSON")]
    lines = [*files(good, source="z"), *files(bad, source="total"), *files(good, source=None)]
    found = outcome(Rules("NER"), lines, sort_by="source").original()
    assert list(found) == ["total", "None", "total (group)", "z"]
    assert found["total"] == {"总样本数": 3, "错误数": 1, "P": 100.0, "R": 66.67, "F1": 80.0}
    assert found["total (group)"] == {"总样本数": 1, "错误数": 1, "P": 0.0, "R": 0.0, "F1": 0.0}


def test_the_original_s_file_for_events() -> None:
    pairs: Pairs = [([event("e", "t", r=["a", "b"])], {"e": [{"trigger": "t", "arguments": {"r": "a"}}]})]
    assert outcome(Rules("EE"), files(pairs)).original() == {
        "total": {
            "总样本数": 1,
            "错误数": 0,
            "event_P": 100.0,
            "event_R": 100.0,
            "event_F1": 100.0,
            "argument_P": 100.0,
            "argument_R": 50.0,
            "argument_F1": 66.67,
        }
    }
    assert oneke.result_path(Path("results/a.json")) == Path("results/output_msg/a.json")


def test_all_that_the_terminal_shows_is_in_the_json() -> None:
    found = outcome(Rules("NER"), [*files([ANN_TWICE, (entities(), "no JSON")]), b"{"]).as_json()
    assert (found["documents"], found["outputs"], found["unparsed"], found["unparsed_share"]) == (2, 2, 1, 0.5)
    (score,) = found["scores"]
    assert (score["level"], score["precision"], score["recall"], score["f1"]) == ("fact", 50.0, 50.0, 50.0)
    assert score["intervals"]["f1"] == (0.0, 50.0)
    assert found["rules"]["standing"] == Rules("NER").standing
    assert found["bad_lines"] == [{"number": 3, "fault": "it is not JSON; write one JSON object a line"}]
    assert found["notes"] == ["Bad lines, not counted and named on standard error: 1."]
    assert [each["label"] for each in found["labels"]] == ["o", "p"]
    assert found["comparison"] is None
    assert found["original"]["total"]["F1"] == 50.0


def test_half_a_character_in_a_label_is_an_escape_in_the_json() -> None:
    found = outcome(Rules("NER"), files([([], {"半\ud800": ["a"]})])).as_json()
    assert json.loads(as_text(found, indent=2))["labels"][0]["label"] == "半\ud800"


def test_the_terminal_is_aligned_and_harmless() -> None:
    types = ["组织机构", "person", "\x1b[31m红", "👩‍👩‍👧", "半\ud800", *(f"t{number}" for number in range(41))]
    pairs: Pairs = [(entities(*((kind, kind) for kind in types)), {kind: [kind] for kind in types})]
    text = shown(outcome(Rules("NER"), files(pairs, lang="中文"), sort_by="lang"))
    lines = text.splitlines()
    assert "\x1b" not in text
    assert max(map(cell_len, lines)) <= 80
    assert "and 16 more (--json)" in text
    rows = [line.rstrip() for line in lines if line.rstrip().endswith("1     1     1")]
    assert len(rows) == table.LABELS_SHOWN
    assert len({cell_len(row) for row in rows}) == 1


def test_long_names_give_way_to_figures() -> None:
    name = "组织机构" * 10
    gold = [event(name, "t", **{"role" * 9: ["v"]})]
    found = outcome(Rules("EE"), files([(gold, {name: [{"trigger": "t"}], "x": [{"trigger": "t"}]})]), sort_by="id")
    tally = Tally(123_456, 123_456, 123_456)
    everything = (100.0, 100.0)
    intervals = Intervals(everything, everything, everything)
    found.whole.scores[0] = replace(found.whole.scores[0], tally=tally, intervals=intervals)
    text = shown(found)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "100.00 to 100.00  123,456  123,456  123,456" in text
    assert "…" not in text
    assert len(shown(outcome(Rules("NER"), files([([], {"组" * 10_000: ["a"]})])))) < 2_000


def test_a_document_alone_has_no_interval() -> None:
    text = shown(outcome(Rules("NER"), files([ANN_TWICE])))
    assert "No intervals" in text
    assert " - " in text


def test_a_comparison_is_shown_with_what_was_left_out() -> None:
    gold = entities(("Ann", "p"))
    here = files([(gold, {"p": ["Ann"]}), (gold, {"p": []}), (gold, {}), (gold, {})])
    there = files([(gold, {"p": ["Ann"]}), (gold, {"p": ["Ann"]}), (entities(("Bob", "p")), {})])
    mine, other = outcome(Rules("NER"), here), outcome(Rules("NER"), there)
    found = compare(mine.predictions, other.predictions, counts=mine.counts, others=other.counts)
    assert (found.documents, found.only_here, found.only_there, found.other_gold) == (2, 1, 0, 1)
    each = found.differences["fact"]
    assert (each.here, each.there, each.gain) == (66.67, 100.0, 33.33)
    pair = Outcome(mine.file, mine.rules, mine.predictions, mine.whole, [], mine.counts, Path("o.jsonl"), found)
    text = shown(pair)
    assert "o.jsonl against p.jsonl, 2 documents of both" in text
    assert "With other gold in o.jsonl, not compared: 1 document." in text
    assert max(map(cell_len, text.splitlines())) <= 80
    assert pair.as_json()["comparison"]["differences"][0]["gain"] == 33.33


def test_gold_in_another_order_is_the_same_gold() -> None:
    pair = entities(("Ann", "p"), ("Bob", "p"))
    mine, other = outcome(Rules("NER"), files([(pair, {})])), outcome(Rules("NER"), files([(pair[::-1], {})]))
    found = compare(mine.predictions, other.predictions, counts=mine.counts, others=other.counts)
    assert (found.documents, found.other_gold) == (1, 0)


def test_a_wrong_score_fails_its_vector() -> None:
    lines = [json.loads(line) for line in files([ANN_TWICE])]
    total = {"总样本数": 1, "错误数": 0, "P": 50.0, "R": 50.0, "F1": 50.0}
    case: dict[str, Any] = {
        "args": {"task": "NER", "match_mode": "normal", "sort_by": ""},
        "input": {"lines": lines},
        "expected": {"result": {"total": total}, "total_counts": {"tp": 1, "pred": 2, "gold": 2}},
    }
    assert list(golden_evaluate.check_eval(case, case)) == []
    case["expected"]["result"]["total"] = {**total, "F1": 50.01}
    case["expected"]["total_counts"]["tp"] = 2
    assert [each.split()[0] for each in golden_evaluate.check_eval(case, case)] == ["result", "counts"]


def test_nothing_of_a_line_is_kept_but_records() -> None:
    found = read(files([ANN_TWICE] * 3), task="NER", parse=Rules("NER").parse)
    assert isinstance(found, Predictions)
    held = " ".join(repr(each) for each in found.documents.values())
    assert "instruction" not in held
    assert "{" not in held
