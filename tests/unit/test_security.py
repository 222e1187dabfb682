"""SECURITY.md claims nothing without a test: each row of its tables names tests, and each of them is there."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
DOORS = [
    "Producer",
    "Redis",
    "Model folder and adapters",
    "Labels, runs and the store of adapters",
    "Webhook endpoint",
    "Knowledge base",
    "Document text",
    "The operator's side",
]
HEAD = "| cannot | what stops it | test |\n|---|---|---|\n"


def rows() -> Iterator[tuple[str, str]]:
    """Each door with each row of its table."""
    for section in TEXT.split("\n## ")[1:]:
        for row in section.partition(HEAD)[2].partition("\n\n")[0].splitlines():
            yield section.partition("\n")[0], row


@cache
def defined(file: Path) -> dict[str, tuple[str, ...]]:
    """Its functions, as `test` or `Class::test`, and what a class of that name is made from."""
    found: dict[str, tuple[str, ...]] = {}
    for each in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(each, ast.FunctionDef):
            found[each.name] = ()
        elif isinstance(each, ast.ClassDef):
            bases = tuple(base.id for base in each.bases if isinstance(base, ast.Name))
            found |= {f"{each.name}::{part.name}": () for part in each.body if isinstance(part, ast.FunctionDef)}
            found[each.name] = bases
    return found


def is_there(file: Path, name: str) -> bool:
    """Whether a file has a test, or a class of it takes it over from a contract."""
    case, _, test = name.rpartition("::")
    contracts = [defined(contract) for contract in (ROOT / "tests").glob("*_contract.py")]
    kept = (f"{base}::{test}" for base in defined(file).get(case, ()))
    return name in defined(file) or any(each in contract for each in kept for contract in contracts)


@pytest.mark.parametrize(("door", "row"), [*rows()])
def test_each_claim_names_tests_that_are_there(door: str, row: str) -> None:
    cannot, stops, tests = row.strip("| ").split(" | ")
    assert cannot
    assert stops
    named = [each.partition("::") for each in re.findall("`([^`]+)`", tests)]
    assert named
    for file, _, name in named:
        assert name.rpartition("::")[2].startswith("test_")
        assert is_there(ROOT / file, name), f"{file} has no {name}"


def test_every_door_has_claims() -> None:
    assert [*dict.fromkeys(door for door, _ in rows())] == DOORS
    assert TEXT.count(HEAD) == len(DOORS)
