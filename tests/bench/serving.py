"""Letters a, b, f and g, which share their engines: `PYTHONPATH=tests python -m bench.serving --help`."""

import importlib.util
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from bench import queue_report

from sluice_worker.engine import cpu

if TYPE_CHECKING:
    from bench.fleet import Fleet, Model, Scale
    from bench.rounds import Turn

LETTERS = ("a", "b", "f", "g")
READERS: "Mapping[Model, str]" = {"sluice-tiny": "abf", "random": "ab"}
"""The races, one a model, and the letters that read their rounds."""
LAST: "Model" = "random"


def measure(letters: Sequence[str] = LETTERS, *, scale: "Scale | None" = None) -> dict[str, Any]:
    """Figures by letter, all together."""
    found = dict(measured(letters, scale=scale))
    return {letter: found[letter] for letter in letters}


def measured(letters: Sequence[str], *, scale: "Scale | None" = None) -> Iterator[tuple[str, Any]]:
    """Each letter with its figures, as soon as it has all of them.

    Entrants of several letters run once: each letter reads the rounds that it needs.
    """
    cpu.behave()  # before torch is imported
    from bench.fleet import Fleet, Scale
    from bench.growth import figures as growth

    found: dict[str, Any] = {letter: {} for letter in letters}
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as name,
        Fleet(Path(name), scale or Scale(kinds=_kinds())) as fleet,
    ):
        for model, readers in READERS.items():
            if asked := [letter for letter in readers if letter in letters]:
                click.echo(f"{', '.join(asked)}: {model} ...", err=True)
                _raced(fleet, model, {letter: found[letter] for letter in asked})
            yield from ((letter, found[letter]) for letter in asked if letter == "f" or model == LAST)
        if "g" in letters:
            click.echo("g ...", err=True)
            yield "g", growth(fleet)


def show(found: Mapping[str, Any]) -> None:
    """The tables of the letters that are there."""
    from bench import baseline, ceiling, engines, growth

    tables: dict[str, Callable[[Any], Any]] = {
        "a": ceiling.tables,
        "b": baseline.tables,
        "f": engines.tables,
        "g": growth.tables,
    }
    for letter, each in found.items():
        queue_report.show(*tables[letter](each))


def _raced(fleet: "Fleet", model: "Model", found: dict[str, Any]) -> None:
    from bench import baseline, ceiling, engines
    from bench.rounds import race

    entrants: dict[str, Turn] = {}
    if {"b", "f"}.intersection(found):
        entrants |= baseline.turns(fleet, model)
    if "f" in found:
        entrants |= engines.turns(fleet)
    if "a" in found:
        entrants |= ceiling.turns(fleet, model)
    passes = race(entrants, rounds=fleet.scale.rounds)
    if "a" in found:
        found["a"][model] = ceiling.figures(fleet, passes)
    if "b" in found:
        found["b"][model] = baseline.figures(fleet, model, passes)
    if "f" in found:
        found["f"] |= engines.figures(fleet, passes)


def _kinds() -> Any:
    return ("transformers", "vllm") if importlib.util.find_spec("vllm") else ("transformers",)


@click.command()
@click.option("--only", "letters", type=click.Choice(LETTERS), multiple=True, help="May be repeated; all by default.")
@click.option("--repeat", type=click.IntRange(1), default=5, show_default=True, help="Medians are taken over these.")
@click.option("--share", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Of documents.")
@click.option("--small", is_flag=True, help="A small model in place of the one with 100 M parameters, short answers.")
@click.option("--json", "target", type=click.Path(path_type=Path), default=queue_report.TARGET, show_default=True)
def main(letters: tuple[str, ...], repeat: int, share: float, small: bool, target: Path) -> None:
    """Measure the engines against the queue, the quick start, each other and their own settings."""
    # Whoever ends this process ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cpu.behave()
    from bench.fleet import Scale
    from bench.shape import FIFTH, SMALL

    usual = Scale()
    scale = Scale(
        rounds=repeat,
        share=share,
        documents={model: max(1, round(count * share)) for model, count in usual.documents.items()},
        shape=SMALL if small else FIFTH,
        answer_tokens=16 if small else usual.answer_tokens,
        kinds=_kinds(),
    )
    for letter, each in measured(letters or LETTERS, scale=scale):
        queue_report.merge(target, letter, each)
        show({letter: each})


if __name__ == "__main__":
    main()
