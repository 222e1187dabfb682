"""Sluice without Redis or a worker, for the tests of services that use it."""

from collections.abc import Callable, Sequence

from sluice_producer.client import Sluice
from sluice_schemas import shelf
from sluice_schemas.endpoint import Endpoint
from sluice_schemas.errors import SluiceError
from sluice_schemas.extraction import Extraction
from sluice_schemas.ledger import Claim, MemoryLedger

Answer = Callable[[Claim], Extraction]
"""Plays the worker. What it raises as a `SluiceError` makes the job dead, with that reason."""


def empty(claim: Claim) -> Extraction:
    """A result in which nothing was found; `model_copy` it to say what was."""
    order = claim.order
    shipped = shelf.library().get(order.schema_ref)
    return Extraction(
        job_id=claim.job_id,
        document_id=order.document.id,
        schema_ref=order.schema_ref,
        task=shipped.task if shipped else "NER",
        language="zh" if order.document.language == "zh" else "en",
        model="fake",
    )


def fake_sluice(answer: Answer = empty, *, ledger: MemoryLedger | None = None, endpoints: Sequence[str] = ()) -> Sluice:
    """A client whose jobs end as soon as they are submitted, with what `answer` makes of them.

    Jobs may name `endpoints`; nothing is posted to them. Labels are kept in memory.

    With a `ledger` of your own you see the jobs from the worker's side too. For jobs that stay queued build
    `Sluice(ledger=MemoryLedger(), doorbell=SilentDoorbell())`.
    """
    ledger = ledger or MemoryLedger()
    for name in endpoints:
        ledger.outbox.add_endpoint(Endpoint(name=name, url=f"https://{name}.example/"), replace=True)
    return Sluice(ledger=ledger, doorbell=AnsweringDoorbell(ledger, answer), labels="sqlite://")


class AnsweringDoorbell:
    """A doorbell with a worker behind it, in the same thread."""

    def __init__(self, ledger: MemoryLedger, answer: Answer) -> None:
        self._ledger = ledger
        self._answer = answer

    def ring(self, task: str, queue: str, id: str) -> None:
        claim = self._ledger.claim("fake")
        if claim is None:
            return
        try:
            self._ledger.commit(claim, self._answer(claim))
        except SluiceError as exc:
            self._ledger.fail(claim, str(exc), verdict="dead")

    def waiting(self, queue: str) -> int:
        return 0
