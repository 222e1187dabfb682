"""What a webhook carries."""

from typing import Literal, Self

from pydantic import model_validator

from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job
from sluice_schemas.wire import Wire


class Event(Wire):
    """The body of a webhook. `extraction` is given when, and only when, the job succeeded."""

    type: Literal["extraction.completed", "extraction.failed"]
    timestamp: str
    """When the job ended, ISO 8601 with its zone."""
    job: Job
    extraction: Extraction | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        has_succeeded = self.job.state == "succeeded"
        if has_succeeded != (self.extraction is not None) or has_succeeded != (self.type == "extraction.completed"):
            raise ValueError(f"an {self.type} event of a {self.job.state} job contradicts itself; see the job's state")
        return self
