"""Where figures of a benchmark go: a table for people, one object a letter in a JSON file for everything else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

TARGET = Path(".build/bench.json")
WIDTH = 80


def merge(target: Path, letter: str, figures: Mapping[str, Any]) -> None:
    """Writes the figures under their letter; what other benchmarks wrote into the file stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    found = orjson.loads(target.read_bytes()) if target.exists() else {}
    found[letter] = figures
    target.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Names to the left, figures to the right."""
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for i, head in enumerate(heads):
        made.add_column(head, justify="right" if i else "left")
    for row in rows:
        made.add_row(*row)
    return made


def show(*tables: Table) -> None:
    """On standard output, as wide as the README."""
    console = Console(width=WIDTH, highlight=False)
    for each in tables:
        console.print(each)
