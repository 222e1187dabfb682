"""The producer's side of Sluice: everything a service needs to hand documents in and take results out."""

from sluice_producer.client import Sluice
from sluice_producer.outcomes import JobFailed, StillRunning
from sluice_schemas.document import Document
from sluice_schemas.errors import (
    BadInput,
    Conflict,
    Full,
    Misconfigured,
    NotFound,
    Retryable,
    SluiceError,
    Unavailable,
)
from sluice_schemas.extraction import EventMention, Extraction, Mention, Problem, Relation, Span
from sluice_schemas.job import Job, Order
from sluice_schemas.label import Label, Stored
from sluice_schemas.schema import ExtractionSchema

__all__ = [
    "BadInput",
    "Conflict",
    "Document",
    "EventMention",
    "Extraction",
    "ExtractionSchema",
    "Full",
    "Job",
    "JobFailed",
    "Label",
    "Mention",
    "Misconfigured",
    "NotFound",
    "Order",
    "Problem",
    "Relation",
    "Retryable",
    "Sluice",
    "SluiceError",
    "Span",
    "StillRunning",
    "Stored",
    "Unavailable",
]
