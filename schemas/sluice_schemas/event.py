"""What a webhook carries."""

from typing import Literal

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
