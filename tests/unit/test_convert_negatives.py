"""Which labels are asked: draws of the right size, own labels always, rivals from both kinds of files."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_schemas.errors import BadInput, NotFound
from sluice_worker.conversion.behaviour import LOSSLESS, ORIGINAL
from sluice_worker.conversion.negatives import Draws, Hard, Sampled, read_rivals

KNOWN = [f"label {number:02}" for number in range(20)]
LABELS = st.lists(st.sampled_from([*KNOWN, "foreign"]), unique=True, max_size=8)
SHARES = st.floats(0, 1)


def draws(seed: int = 1, *, share: float = 0.5, is_shuffled: bool = False) -> Draws:
    return Draws(seed, share=share, is_shuffled=is_shuffled)


@given(LABELS, SHARES, st.booleans(), st.integers())
def test_own_labels_are_asked_once_and_the_rest_comes_from_the_schema(
    own: list[str], share: float, is_shuffled: bool, seed: int
) -> None:
    asked = Sampled(KNOWN, draws(seed, is_shuffled=is_shuffled), share)(own)
    assert Counter(asked).most_common(1)[:1] in ([], [(asked[0], 1)] if asked else [])
    assert {*own} <= {*asked} <= {*own, *KNOWN}
    assert is_shuffled or asked == sorted(asked)
    assert asked or (share == 0 and not own), "a document without labels gets at least one"


@pytest.mark.parametrize(
    ("own", "share", "expected"),
    [
        (["label 03"], 0, ["label 03"]),  # own labels only
        ([], 0, []),  # and nothing for a document without
        (["label 03", "foreign"], 1, sorted([*KNOWN, "foreign"])),  # all the others
        ([], 1, KNOWN),
        (["label 03"], -1, KNOWN),  # the original's way to say all
    ],
)
def test_a_share_of_nothing_and_of_all(own: list[str], share: float, expected: list[str]) -> None:
    assert Sampled(KNOWN, draws(), share)(own) == expected


def test_a_document_without_labels_is_asked_for_one_at_least() -> None:
    choose = Sampled(KNOWN, draws(), 1e-9)
    assert {len(choose([])) for _ in range(20)} == {1}
    assert {len(choose(["label 03"])) for _ in range(20)} == {1}, "its own is enough"


def test_the_number_of_negatives_is_binomial() -> None:
    """Of 20 labels with a share of 0.3: mean 6, variance 4.2; 4000 draws come within five standard errors."""
    choose = Sampled(KNOWN, draws(), 0.3)
    sizes = [len(choose(["label 00"])) - 1 for _ in range(4000)]
    mean = sum(sizes) / len(sizes)
    variance = sum((size - mean) ** 2 for size in sizes) / len(sizes)
    assert mean == pytest.approx(6, abs=0.17)
    assert variance == pytest.approx(4.2, abs=0.5)


def test_each_negative_is_as_likely_as_the_others() -> None:
    choose = Sampled(KNOWN, draws(), 0.3)
    counts = Counter(name for _ in range(4000) for name in choose(["label 00"]))
    assert counts.pop("label 00") == 4000
    # A share of 0.3 of 20, spread over the 19 others: 1263 each, standard deviation about 29.
    assert all(count == pytest.approx(1263, abs=150) for count in counts.values())


RIVALS = {"label 03": ["label 04", "label 05"]}


@given(LABELS, st.integers(0, 4), st.integers())
def test_hard_negatives_are_asked_with_some_of_the_rest(own: list[str], extras: int, seed: int) -> None:
    asked = Hard(KNOWN, draws(seed), RIVALS, extras)(own)
    assert asked == sorted({*asked})
    if own:
        certain = {*own, *(rival for name in own for rival in RIVALS.get(name, []))}
        assert certain <= {*asked}
        assert len(asked) == len(certain) + extras
    else:
        assert 1 <= len(asked) <= len(KNOWN)


def test_without_labels_hard_negatives_are_half_the_share() -> None:
    choose = Hard(KNOWN, draws(share=1.0), RIVALS, 4)
    sizes = [len(choose([])) for _ in range(2000)]
    assert sum(sizes) / len(sizes) == pytest.approx(10, abs=0.25)


def test_a_rival_outside_the_schema_was_never_annotated_and_is_not_asked() -> None:
    rivals = {"label 03": ["label 04", "unknown"]}
    assert LOSSLESS.rivals(rivals, KNOWN) == {"label 03": ["label 04"]}
    assert ORIGINAL.rivals(rivals, KNOWN) == rivals


def _file(folder: Path, content: Any) -> Path:
    path = folder / "rivals.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"a": ["b", "b"], "c": []}, {"a": ("b",), "c": ()}),  # flat
        ({"NER": {"here": {"a": ["b"]}, "there": {}}}, {"a": ("b",)}),  # IEPile's, by task and data set
        ({}, {}),
    ],
)
def test_files_of_hard_negatives(tmp_path: Path, content: Any, expected: Any) -> None:
    assert read_rivals(_file(tmp_path, content), task="NER", source="here") == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"RE": {"here": {}}}, "hard negatives for RE, not for NER"),  # another task
        ({"NER": {"there": {"a": []}}}, "for there, not for 'here'; name one with --source"),  # another data set
        ({"NER": {"here": {"a": "b"}}}, "a list of labels"),  # no list
        (["a"], "a list of labels"),  # no object
    ],
)
def test_a_file_that_holds_no_hard_negatives(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_rivals(_file(tmp_path, content), task="NER", source="here")


def test_a_file_that_is_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file of hard negatives"):
        read_rivals(tmp_path / "none", task="NER", source="here")
    (tmp_path / "torn").write_text('{"a": ')
    with pytest.raises(BadInput, match="not JSON"):
        read_rivals(tmp_path / "torn", task="NER", source="here")
