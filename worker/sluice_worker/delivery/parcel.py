"""What one post carries: the event of one delivery, or those of several; whole, or with a link to what is large."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluice_schemas.errors import BadInput
from sluice_schemas.event import BatchItem, Event, EventBatch, Link, read
from sluice_schemas.ledger import Consignment, DeliveryClaim

MAX_BYTES = 20 * 1024
"""Standard Webhooks, "Payload size": what is larger should be fetched."""

MakeLink = Callable[[Event], Link]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A body and its `webhook-id`, which stays the same as long as the same deliveries are posted together."""

    id: str
    body: bytes


def pack(consignment: Consignment, make_link: MakeLink | None) -> Parcel:
    """Raises `BadInput` when what lies in the outbox cannot be read."""
    claims = consignment.claims
    if consignment.endpoint.batch == 1:
        return Parcel(claims[0].id, _body(claims[0], consignment, make_link))
    items = [BatchItem(id=each.id, event=_event(each, consignment, make_link)) for each in claims]
    return Parcel(_id_of(claims), EventBatch(type="extraction.batch", events=tuple(items)).encode())


def _body(claim: DeliveryClaim, consignment: Consignment, make_link: MakeLink | None) -> bytes:
    if claim.job_id == "":
        # About an endpoint, and not about a job: it goes as it is.
        return claim.body
    return _event(claim, consignment, make_link).encode()


def _event(claim: DeliveryClaim, consignment: Consignment, make_link: MakeLink | None) -> Event:
    event = read(claim.body)
    if not isinstance(event, Event):
        raise BadInput(f"Delivery {claim.id} holds no event of a job and cannot go into a batch.")
    whole = event.linked() if consignment.endpoint.linked_data else event
    if make_link is None or event.extraction is None or len(whole.encode()) <= MAX_BYTES:
        return whole
    return event.thin(make_link(event))


def _id_of(claims: Sequence[DeliveryClaim]) -> str:
    return "msg_" + hashlib.sha256(" ".join(each.id for each in claims).encode()).hexdigest()[:32]
