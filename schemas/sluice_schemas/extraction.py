"""What comes out of a document: values with the place where each stands, and everything that went wrong."""

from typing import Literal, Self

from pydantic import Field, model_validator

from sluice_schemas.document import DocumentId
from sluice_schemas.schema import Decoding, Task
from sluice_schemas.wire import Count, Strict, Wire

Status = Literal["exact", "normalised", "fuzzy", "absent"]
"""How a value was found in the text: as it stands; after normalising width, case and spaces; nearly; not at all."""

ProblemKind = Literal[
    "failed_request", "unparsed", "repaired", "cut_answer", "skipped", "unknown_label", "ungrounded", "overlapping"
]


class Span(Strict):
    """A half-open range [start, end) in Unicode code points of the text as given."""

    start: Count
    end: Count

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"a span [{self.start}, {self.end}) is empty")
        return self


class Mention(Strict):
    """A value the model gave. `span` is None exactly when `status` is "absent".

    `type` is the entity type where the task gives one; `confidence` is in 0..1, None when the engine gives none.
    """

    text: str
    type: str | None = None
    span: Span | None = None
    status: Status = "absent"
    confidence: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if (self.span is None) != (self.status == "absent"):
            raise ValueError(f"a mention with status {self.status!r} and span {self.span!r} contradicts itself")
        return self


class Relation(Strict):
    """A triple of RE or SPO, or one attribute of a KG entity (`type` is then the attribute's name)."""

    type: str
    head: Mention
    tail: Mention


class Passage(Strict):
    """A piece of the text, the code points [start, end), in which values stand: a sentence, or a part of a long one."""

    start: Count
    end: Count
    text: str


class Argument(Strict):
    """A value that plays a role in an event."""

    role: str
    value: Mention


class EventMention(Strict):
    """An event: `trigger` is None when the model named none."""

    type: str
    trigger: Mention | None = None
    arguments: tuple[Argument, ...] = ()

    def named_values(self) -> list[tuple[str, Mention]]:
        """All its values with their roles; that of a trigger is "trigger"."""
        arguments = [(each.role, each.value) for each in self.arguments]
        return [("trigger", self.trigger), *arguments] if self.trigger else arguments


class Problem(Strict):
    """One thing that went wrong, in a sentence; `raw` holds the model's answer where it is the evidence."""

    kind: ProblemKind
    detail: str
    chunk: Span | None = None
    raw: str | None = None


class Usage(Strict):
    """What the document cost in the engine."""

    requests: Count = 0
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    engine_s: float = 0.0
    total_s: float = 0.0


class Extraction(Wire):
    """The one committed result of a job. `passages`, in text order, are what a reader needs to see why.

    `text` is filled in only where results are exported with their document.
    """

    job_id: str
    document_id: DocumentId
    document_version: Count = 0
    schema_ref: str
    task: Task
    language: Literal["zh", "en"]
    model: str
    adapter: str | None = None
    decoding: Decoding = "free"
    entities: tuple[Mention, ...] = ()
    relations: tuple[Relation, ...] = ()
    events: tuple[EventMention, ...] = ()
    passages: tuple[Passage, ...] = ()
    problems: tuple[Problem, ...] = ()
    usage: Usage = Usage()
    text: str | None = None
