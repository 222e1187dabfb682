"""Looks for input that breaks a decoder, by coverage: `PYTHONPATH=tests python -m fuzz --help`."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
from fuzz.targets import TARGETS

FOLDER = Path(".build/fuzz")
MAX_BYTES = 16 * 1024
TIMEOUT_S = 10
"""An input that takes so long is a find, too."""

_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERAGE = re.compile(r"\bcov: (\d+)")


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one target. `coverage` counts libFuzzer's edges; `finds` are the files that break the decoder."""

    name: str
    runs: int
    coverage: int
    finds: tuple[Path, ...]
    output: str
    is_over: bool

    def __str__(self) -> str:
        found = ", ".join(map(str, self.finds)) or ("none" if self.is_over else "its process failed, see its log")
        return f"{self.name:<22}{self.runs:>10,} runs{self.coverage:>8,} edges   finds: {found}"


@click.command()
@click.argument("names", metavar="[TARGET]...", nargs=-1, type=click.Choice([*TARGETS]))
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(min=1), help="For each target.")
def main(names: tuple[str, ...], seconds: int) -> None:
    """Fuzz every TARGET, or all, and tell a line about each.

    What breaks a decoder is kept in .build/fuzz/TARGET, beside the log; `python -m fuzz.one TARGET FILE` tries it
    again. The corpus there grows from run to run. The exit code is 1 when anything was found.
    """
    done = []
    for name in names or TARGETS:
        done.append(run(name, seconds))
        click.echo(done[-1])
    sys.exit(any(each.finds or not each.is_over for each in done))


def run(name: str, seconds: int) -> Run:
    """Runs one target for so long, or until its first find."""
    folder = FOLDER / name
    corpus = _corpus(folder, TARGETS[name].seeds)
    before = {*_finds(folder)}
    options = {
        "max_total_time": seconds,
        "max_len": MAX_BYTES,
        "timeout": TIMEOUT_S,
        "artifact_prefix": f"{folder}/find-",
        "print_final_stats": 1,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.one", name, *flags, str(corpus)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        errors="replace",
    )
    output = done.stdout + done.stderr
    (folder / "log").write_text(output)
    runs, edges = _RUNS.findall(output), _COVERAGE.findall(output)
    finds = sorted({*_finds(folder)} - before)
    return Run(
        name, int(runs[-1]) if runs else 0, int(edges[-1]) if edges else 0, (*finds,), output, not done.returncode
    )


def _corpus(folder: Path, seeds: tuple[bytes, ...]) -> Path:
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    return corpus


def _finds(folder: Path) -> list[Path]:
    return [*folder.glob("find-*")]


if __name__ == "__main__":
    main()
