"""From a job's result and a reviewer's word to a label."""

from collections.abc import Iterator
from typing import Literal

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput, NotFound
from sluice_schemas.extraction import Extraction, Mention
from sluice_schemas.label import Label
from sluice_schemas.ledger import ProducerLedger

Said = Extraction | Label
"""What a reviewer says: of it count the entities, relations and events."""


def confirmed(ledger: ProducerLedger, job_id: str, *, author: str, document: Document | str | None) -> Label:
    """The label that says that the job's result is right. Raises `BadInput` and `NotFound`."""
    result = _result(ledger, job_id)
    return _label(result, result, "confirmed", author, _document(ledger, result, document))


def corrected(
    ledger: ProducerLedger, job_id: str, said: Said, *, author: str, document: Document | str | None
) -> Label:
    """The label that says what the result should have been. Raises `BadInput` and `NotFound`."""
    result = _result(ledger, job_id)
    if said.job_id not in (None, job_id) or said.schema_ref != result.schema_ref:
        raise BadInput(
            f"The correction is of job {said.job_id!r} under {said.schema_ref!r}, and job {job_id!r} was read under "
            f"{result.schema_ref!r}. Correct a copy of that job's result."
        )
    if isinstance(said, Label) and document is None:
        document = said.document
    return _label(result, said, "corrected", author, _document(ledger, result, document))


def _label(
    result: Extraction, said: Said, verdict: Literal["confirmed", "corrected"], author: str, document: Document
) -> Label:
    facts = {kind: getattr(said, kind) for kind in ("entities", "relations", "events")}
    about = {"document": document, "schema_ref": result.schema_ref, "verdict": verdict, "author": author}
    return Label.of({**about, **facts, "job_id": result.job_id})


def _result(ledger: ProducerLedger, job_id: str) -> Extraction:
    result = ledger.result(job_id)
    if result is None:
        raise NotFound(f"Job {job_id!r} has no result: it is {ledger.job(job_id).state}.")
    return result


def _document(ledger: ProducerLedger, result: Extraction, given: Document | str | None) -> Document:
    if given is None:
        kept = ledger.document(result.job_id)
        if kept is None:
            raise BadInput(
                f"The document of job {result.job_id!r} went when the job ended. Give it as document=..., or submit "
                "with reviewable=True, which keeps it as long as the result."
            )
        return kept
    if isinstance(given, str):
        about = {"id": result.document_id, "version": result.document_version, "language": result.language}
        given = Document.of({"text": given, **about})
    if given.id != result.document_id:
        raise BadInput(f"Job {result.job_id!r} read the document {result.document_id!r}, and this is {given.id!r}.")
    _refuse_other(given.text, result)
    return given


def _refuse_other(text: str, result: Extraction) -> None:
    """A text in which the result's values stand elsewhere is not the one that was read."""
    places = [(each.span.start, each.span.end, each.text) for each in _values(result) if each.span]
    places += [(each.start, each.end, each.text) for each in result.passages]
    for start, end, words in places:
        if text[start:end] != words:
            raise BadInput(
                f"This is not the text that job {result.job_id!r} read: it differs at [{start}, {end}). Give it as it "
                "was submitted, unchanged in any character."
            )


def _values(result: Extraction) -> Iterator[Mention]:
    """Those that stand in the text word for word."""
    found = [*result.entities, *(end for each in result.relations for end in (each.head, each.tail))]
    found += [value for event in result.events for _, value in event.named_values()]
    return (each for each in found if each.status == "exact")
