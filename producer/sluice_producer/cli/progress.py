"""What a user sees on stderr while a submission runs: a bar in a terminal, a line now and then elsewhere."""

import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sluice_schemas.printable import printable

PLAIN_EVERY_S = 5.0


@dataclass(slots=True)
class Tally:
    """What became of the lines so far. A known document was submitted before, or its result was there already."""

    submitted: int = 0
    known: int = 0
    succeeded: int = 0
    failed: int = 0
    bad: int = 0

    @property
    def taken(self) -> int:
        return self.submitted + self.known

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed

    def __str__(self) -> str:
        counts = {"submitted": self.submitted, "already known": self.known}
        if self.ended:
            counts |= {"succeeded": self.succeeded, "failed": self.failed}
        return ", ".join(f"{name} {count}" for name, count in {**counts, "bad lines": self.bad}.items())


class Screen(AbstractContextManager["Screen"], Protocol):
    """Shows progress and, above it, sentences."""

    def say(self, sentence: str) -> None:
        """Shows a sentence that stays."""

    def show(self, tally: Tally, share: float | None) -> None:
        """Shows the counts and the share of the work that is done, 0..1, None while nobody knows."""


class Bar:
    """For a terminal. `say` may hold anything a document's author wrote: no markup, no control characters."""

    def __init__(self) -> None:
        console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self._progress = Progress(
            BarColumn(bar_width=None),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("", total=None, counts="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def say(self, sentence: str) -> None:
        self._progress.console.print(printable(sentence))

    def show(self, tally: Tally, share: float | None) -> None:
        total = None if share is None else 1.0
        self._progress.update(self._task, total=total, completed=share or 0.0, counts=_counts(tally))


class PlainLines:
    """For a log."""

    def __init__(self) -> None:
        self._shown_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def say(self, sentence: str) -> None:
        click.echo(printable(sentence), err=True)

    def show(self, tally: Tally, share: float | None) -> None:
        if time.monotonic() - self._shown_at >= PLAIN_EVERY_S:
            self._shown_at = time.monotonic()
            self.say(_counts(tally) + (f" · {share:.0%}" if share is not None else ""))


def screen_for(*, is_stdout_used: bool) -> Screen:
    """A bar, unless stderr is no terminal or results are printed over it."""
    if sys.stderr.isatty() and not (is_stdout_used and sys.stdout.isatty()):
        return Bar()
    return PlainLines()


def _counts(tally: Tally) -> str:
    counts = {"read": tally.taken, "done": tally.ended, "failed": tally.failed, "bad": tally.bad}
    return " · ".join(f"{name} {count}" for name, count in counts.items() if count or name == "read")
