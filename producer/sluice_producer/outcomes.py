"""How a job ended, for the one who waited for it.

SluiceError
├── JobFailed              the job has ended without a result; `job.state` and `job.reason` say how
└── Retryable
    └── StillRunning       the time to wait is over; the job goes on (a TimeoutError too)
"""

from sluice_schemas.errors import NotFound, Retryable, SluiceError
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job
from sluice_schemas.ledger import ProducerLedger


class JobFailed(SluiceError):
    """The job ended without a result."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"Job {job.id} is {job.state}: {job.reason or 'no reason was given'}")
        self.job = job


class StillRunning(Retryable, TimeoutError):
    """The job has not ended yet and goes on. Ask for its result again later."""


def outcome_of(ledger: ProducerLedger, ended: Job | NotFound) -> Extraction | SluiceError:
    """The result of a job that has ended, else `JobFailed`, or `NotFound` when the result's time is over."""
    if isinstance(ended, NotFound):
        return ended
    try:
        extraction = ledger.result(ended.id) if ended.state == "succeeded" else None
    except NotFound as exc:
        return exc
    return JobFailed(ended) if extraction is None else extraction
