"""A client labels and confirms results: what was read is held against what is said of it."""

import builtins
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sluice_producer import BadInput, Document, Extraction, Label, Mention, Misconfigured, NotFound, Sluice, Span
from sluice_producer.labels.access import Access
from sluice_producer.testing import empty, fake_sluice
from sluice_schemas.ledger import Claim, MemoryLedger
from sluice_schemas.queues import SilentDoorbell

NEWS = "news/entities-en@1"
TEXT = "Anna Berg works in Ulm."
ANNA = Mention(text="Anna Berg", type="person", span=Span(start=0, end=9), status="exact", confidence=0.8)
ULM = Mention(text="Ulm", type="location")


def read(claim: Claim) -> Extraction:
    return empty(claim).model_copy(update={"entities": (ANNA,)})


@pytest.fixture
def client() -> Iterator[Sluice]:
    with fake_sluice(read) as client:
        yield client


def kept(client: Sluice) -> list[Label]:
    return [each.label for each in client._labels.store().snapshot()]


def test_a_result_is_confirmed_once(client: Sluice) -> None:
    job = client.submit(TEXT, schema=NEWS, reviewable=True)
    stored = client.confirm(job.id, author="eva")
    again = client.confirm(job.id, author="eva")
    assert (stored.is_new, again.is_new, again.id) == (True, False, stored.id)
    (label,) = kept(client)
    assert (label.verdict, label.author, label.job_id, label.schema_ref) == ("confirmed", "eva", job.id, NEWS)
    assert label.document.text == TEXT
    assert label.entities == (ANNA.model_copy(update={"confidence": None}),), "a person is sure"


def test_a_result_is_corrected_by_a_changed_copy(client: Sluice) -> None:
    job = client.submit(TEXT, schema=NEWS, reviewable=True)
    right = client.result(job.id).model_copy(update={"entities": (ANNA, ULM)})
    client.label(job.id, right, author="eva")
    (label,) = kept(client)
    assert label.verdict == "corrected"
    assert [(each.text, each.span) for each in label.entities][1] == ("Ulm", Span(start=19, end=22))


def test_a_label_brings_its_document_along(client: Sluice) -> None:
    job = client.submit(Document(id="d", text=TEXT), schema=NEWS)
    said = Label(document=Document(id="d", text=TEXT), schema_ref=NEWS, verdict="imported", author="x", entities=(ULM,))
    client.label(job.id, said, author="eva")
    (label,) = kept(client)
    assert (label.author, label.verdict, label.job_id) == ("eva", "corrected", job.id)


def test_a_document_that_is_gone_must_be_given(client: Sluice) -> None:
    job = client.submit(Document(id="d", text=TEXT), schema=NEWS)
    with pytest.raises(BadInput, match=r"document=\.\.\., or submit with reviewable=True"):
        client.confirm(job.id, author="eva")
    assert client.confirm(job.id, author="eva", document=TEXT).is_new
    assert not client.confirm(job.id, author="eva", document=TEXT).is_new


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (Document(id="other", text=TEXT), "read the document 'd', and this is 'other'"),
        ("Anna  Berg works in Ulm.", r"differs at \[0, 9\)"),  # a space more
        ("Anna", r"differs at \[0, 9\)"),  # cut off
    ],
)
def test_another_document_is_refused(client: Sluice, document: Document | str, words: str) -> None:
    job = client.submit(Document(id="d", text=TEXT), schema=NEWS)
    with pytest.raises(BadInput, match=words):
        client.confirm(job.id, author="eva", document=document)
    assert kept(client) == []


def test_the_correction_of_another_job_is_refused(client: Sluice) -> None:
    one, other = (client.submit(TEXT, schema=NEWS, reviewable=True) for _ in range(2))
    with pytest.raises(BadInput, match="Correct a copy of that job's result"):
        client.label(one.id, client.result(other.id), author="eva")


def test_a_job_without_a_result_cannot_be_labelled() -> None:
    with Sluice(ledger=MemoryLedger(), doorbell=SilentDoorbell(), labels="sqlite://") as client:
        job = client.submit(TEXT, schema=NEWS)
        with pytest.raises(NotFound, match="has no result: it is queued"):
            client.confirm(job.id, author="eva")
        with pytest.raises(NotFound, match="never given out"):
            client.confirm("0" * 32, author="eva")


def test_a_client_without_a_database_says_how_to_give_one() -> None:
    with (
        Sluice(ledger=MemoryLedger(), doorbell=SilentDoorbell()) as client,
        pytest.raises(Misconfigured, match="labels=URL"),
    ):
        client._labels.store()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    known = builtins.__import__

    def without(name: str, given: Mapping[str, object] | None = None, *rest: Any) -> Any:
        if name.startswith("sluice_schemas.labels.store"):
            raise ModuleNotFoundError(name="sqlalchemy")
        return known(name, given, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Misconfigured, match=r"pip install 'sluice-ke\[labels\]'"):
        Access("sqlite://").store()
