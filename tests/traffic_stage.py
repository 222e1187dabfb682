"""Documents that keep coming while everything else goes on, and what became of each."""

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sluice_producer import Sluice
from sluice_schemas.document import Document
from sluice_schemas.errors import SluiceError
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job

PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One document of the traffic. Times are Unix seconds, by Redis's clock."""

    job: Job
    extraction: Extraction | None


@dataclass
class Traffic:
    """Submits one document after the other, at most one every `every_s`, until it is stopped."""

    client: Sluice
    schema_ref: str
    texts: Sequence[str]
    every_s: float
    endpoints: tuple[str, ...] = ()
    jobs: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> list[Seen]:
        """Stops, waits for what is under way, and tells how each document ended."""
        self._stopped.set()
        self._thread.join()
        found = dict(self.client.results(self.jobs, timeout_s=PATIENCE_S))
        return [
            Seen(self.client.job(each), outcome if isinstance(outcome := found.get(each), Extraction) else None)
            for each in self.jobs
        ]

    def _run(self) -> None:
        for number, text in enumerate(itertools.cycle(self.texts)):
            if self._stopped.wait(self.every_s):
                return
            document = Document(id=f"traffic-{number}", text=text)
            try:
                job = self.client.submit(document, schema=self.schema_ref, endpoints=self.endpoints)
                self.jobs.append(job.id)
            except SluiceError as exc:
                self.refused.append(str(exc))


def last_not_under(seen: Sequence[Seen], adapter: str, *, begun_after: float) -> float | None:
    """When the last document was accepted that was read with another one, of those accepted after a time."""
    times = [
        each.job.accepted_at
        for each in seen
        if each.extraction and each.extraction.adapter != adapter and each.job.accepted_at >= begun_after
    ]
    return max(times, default=None)


def states(seen: Sequence[Seen]) -> Counter[str]:
    return Counter(each.job.state for each in seen)
