"""A run's report: figures as the trials have them, nothing from outside, nothing that a label could smuggle in."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sluice_worker.evaluation import gate, report
from sluice_worker.evaluation.gate import GateRules
from sluice_worker.evaluation.report import Past, Story
from sluice_worker.evaluation.trial import SchemaTrial, Trial

EVIL = "<script>alert(1)</script>|x"
SCHEMA = SchemaTrial(
    ref="own/people@1",
    task="NER",
    rows={"fact": ((1, 2, 2),) * 30},
    labels={"fact": {EVIL: (10, 20, 40), "人物": (20, 40, 20)}},
    f1s=(50.0, 51.25, 50.0),
    documents=30,
    requests=60,
    unparsed=3,
    cut=0,
    values=60,
    ungrounded=2,
    unstable=4,
    failed={"BadInput": 1},
    seconds=(0.5,) * 30,
)
EMPTY = replace(SCHEMA, ref="own/nothing@1", rows={"fact": ((0, 0, 0),) * 5}, labels={}, documents=5, seconds=())
BETTER = replace(SCHEMA, rows={"fact": ((2, 2, 2),) * 30}, unparsed=0, failed={})
STORY = Story(
    run_id="20260301-120000-abcdef",
    scope="*",
    facts={"Snapshot": "f00d", "Note": EVIL},
    losses=[(i, 1.0 / i) for i in range(1, 20)],
    dev_losses=[(10, 0.3), (19, 0.2)],
    history=[Past("first", 40.0, 45.0, "promoted"), Past("20260301-120000-abcdef", 50.0, 100.0, "promoted")],
)


def trial(*schemas: SchemaTrial) -> Trial:
    return Trial("m@1", None, {each.ref: each for each in schemas}, 1.0, 10)


@pytest.fixture
def written(tmp_path: Path) -> tuple[str, str]:
    champion, challenger = trial(SCHEMA, EMPTY), trial(BETTER, EMPTY)
    decision = gate.decide(champion, challenger, golden=(champion, challenger), rules=GateRules())
    paths = report.write(
        tmp_path,
        STORY,
        champion=champion,
        challenger=challenger,
        decision=decision,
        golden=(champion, challenger),
    )
    markdown, page = (path.read_text() for path in paths)
    return markdown, page


def test_figures_are_those_of_the_trials(written: tuple[str, str]) -> None:
    for text in written:
        for told in ("own/people@1", "own/nothing@1", "人物", "50.0, 51.2, 50.0", "3 of 60", "4 of 30", "1 BadInput"):
            assert told in text
        assert "F1 over all goes from 50.00 to 100.00" in text
        assert "Golden set" in text
    markdown, page = written
    assert (
        "| own/people@1 | NER | 30 | 50.0 (50.0 to 50.0) | 100.0 (100.0 to 100.0) | +50.0 (+50.0 to +50.0) |"
        in markdown
    )
    assert page.count("<svg") == 4


def test_all_checks_stand_there_with_their_outcome_in_words(written: tuple[str, str]) -> None:
    markdown, page = written
    for name in ("better overall", "no slower", "golden set no worse", "no more unparsed answers"):
        assert f"| {name} |" in markdown
        assert f"<td>{name}</td>" in page
    assert "passed" in page


def test_a_rejection_names_its_reason(tmp_path: Path) -> None:
    decision = gate.decide(trial(BETTER), trial(SCHEMA), rules=GateRules())
    _, page = report.write(tmp_path, STORY, champion=trial(BETTER), challenger=trial(SCHEMA), decision=decision)
    text = page.read_text()
    assert "abcdef: rejected</h1>" in text
    assert "a loss of more than 1" in text
    assert '<td class="bad">FAILED</td>' in text


def test_names_are_text_and_nothing_comes_from_outside(written: tuple[str, str]) -> None:
    markdown, page = written
    for text in written:
        assert "<script" not in text
        assert "&lt;script&gt;" in text
    assert "&lt;/script&gt;\\|x" in markdown
    assert "content-security-policy" in page
    outside = set(re.findall(r"""(?:href|src|url)\s*[=(]\s*["']?([^"')\s>]+)""", page))
    assert all(each.startswith("#") for each in outside), outside
    assert re.findall(r"<h(\d)", page) == ["1", *["2"] * (page.count("<h2"))]


def test_equal_runs_give_equal_bytes(written: tuple[str, str], tmp_path: Path) -> None:
    champion, challenger = trial(SCHEMA, EMPTY), trial(BETTER, EMPTY)
    decision = gate.decide(champion, challenger, golden=(champion, challenger), rules=GateRules())
    paths = report.write(
        tmp_path, STORY, champion=champion, challenger=challenger, decision=decision, golden=(champion, challenger)
    )
    assert tuple(path.read_text() for path in paths) == written
