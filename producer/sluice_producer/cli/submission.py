"""Takes lines to the ledger and results back, with bounded memory."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import click

from sluice_producer.cli.intake import Line
from sluice_producer.cli.progress import Screen, Tally
from sluice_producer.client import Sluice
from sluice_producer.watch import Watch
from sluice_schemas.document import Document
from sluice_schemas.errors import NotFound, SluiceError
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order

MAX_HELD_CHARS = 64 * 1024 * 1024
"""Of documents that wait for their results, so that their texts can be written beside them."""
PATIENCE_S = 20.0
NO_WORKER = (
    "Nothing has ended for 20 s: is a worker running? After Ctrl-C the jobs stay queued, and the same command goes on."
)


class Results(Protocol):
    """Where results go."""

    def holds(self, document: Document, schema_ref: str) -> bool:
        """Whether the result is there already."""

    def write(self, extraction: Extraction, text: str) -> None:
        """Adds a result with its document's text."""


class StandardOutput:
    """Results on stdout; every run starts anew."""

    def holds(self, document: Document, schema_ref: str) -> bool:
        return False

    def write(self, extraction: Extraction, text: str) -> None:
        click.echo(extraction.model_copy(update={"text": text}).encode())


@dataclass(slots=True)
class Report:
    """Counts what happens and tells it. `read_share` is how much of the input is read, where that can be known."""

    screen: Screen
    read_share: Callable[[], float | None]
    tally: Tally = field(default_factory=Tally)
    _started_ms: int = field(default_factory=lambda: _next_ms())

    def bad(self, line: Line, error: SluiceError) -> None:
        self.tally.bad += 1
        self.screen.say(f"line {line.number}: {error}")

    def taken(self, job: Job | None) -> None:
        """A document whose job is new or known; None where its result was there already."""
        if job is None or _made_ms(job) < self._started_ms:
            self.tally.known += 1
        else:
            self.tally.submitted += 1

    def ended(self, line: Line, error: SluiceError | None) -> None:
        if error is None:
            self.tally.succeeded += 1
        else:
            self.tally.failed += 1
            self.screen.say(f"line {line.number}: {error}")

    def sent(self) -> None:
        """Progress of a submission that does not wait."""
        self.screen.show(self.tally, self.read_share())

    def done(self) -> None:
        """Progress of one that waits."""
        share, taken = self.read_share(), self.tally.taken
        self.screen.show(self.tally, None if share is None or not taken else share * self.tally.ended / taken)


def send(client: Sluice, lines: Iterable[Line | None], report: Report) -> None:
    """Submits each line and prints its job."""
    for line in filter(None, lines):
        job = client.accept_patiently(line.order)
        if isinstance(job, Job):
            report.taken(job)
            click.echo(job.encode())
        else:
            report.bad(line, job)
        report.sent()


class Harvest:
    """Submits lines, waits for their results and puts them into `results`; at most `window` jobs at a time."""

    def __init__(self, client: Sluice, results: Results, *, window: int) -> None:
        self._client = client
        self._results = results
        self._window = window
        self._watch: Watch[tuple[Line, str]] = Watch(client.job)
        self._patience_ends = time.monotonic() + PATIENCE_S

    def run(self, lines: Iterable[Line | None], report: Report) -> None:
        """Results go out while the input is silent, too."""
        for line in lines:
            self._settle(self._watch.ended(), report)
            if line is None:
                continue
            while len(self._watch) >= self._window or self._watch.weight >= MAX_HELD_CHARS:
                self._wait(report)
            self._take(line, report)
            report.done()
        while len(self._watch):
            self._wait(report)

    def _take(self, line: Line, report: Report) -> None:
        order = line.order
        if isinstance(order, SluiceError):
            report.bad(line, order)
        elif self._results.holds(order.document, order.schema_ref) and not order.endpoints:
            report.taken(None)
            report.ended(line, None)
        else:
            self._submit(line, order, report)

    def _submit(self, line: Line, order: Order, report: Report) -> None:
        job = self._client.accept_patiently(order)
        if isinstance(job, SluiceError):
            report.bad(line, job)
            return
        report.taken(job)
        text = order.document.text
        self._watch.add(job.id, (line, text), weight=len(text))

    def _wait(self, report: Report) -> None:
        self._settle(self._watch.wait(until=self._patience_ends), report)
        if time.monotonic() >= self._patience_ends:
            self._patience_ends = float("inf")
            report.screen.say(NO_WORKER)

    def _settle(self, ended: list[tuple[tuple[Line, str], Job | NotFound]], report: Report) -> None:
        for (line, text), job in ended:
            self._patience_ends = float("inf")
            outcome = self._client.outcome(job)
            if isinstance(outcome, SluiceError):
                report.ended(line, outcome)
            else:
                self._results.write(outcome, text)
                report.ended(line, None)
        if ended:
            report.done()


def _next_ms() -> int:
    """A millisecond in which no earlier run of this command can have made a job."""
    time.sleep(0.001)
    return time.time_ns() // 1_000_000


def _made_ms(job: Job) -> int:
    """A job's id is a UUID of version 7: it begins with the time at which it was made."""
    return int(job.id[:12], 16)
