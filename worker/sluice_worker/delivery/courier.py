"""Posts the outbox: signed webhooks, again and again until the receiver takes them."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import structlog

from sluice_schemas.endpoint import Endpoint
from sluice_schemas.errors import BadInput, Misconfigured, SluiceError
from sluice_schemas.ledger import Consignment, Outbox, Receipt
from sluice_worker.delivery import signing
from sluice_worker.delivery.outbound import Forbidden
from sluice_worker.delivery.parcel import MakeLink, Parcel, pack
from sluice_worker.delivery.schedule import SCHEDULE_S, delay_s, retry_after_s

log = structlog.get_logger()

GONE = 410
"""The receiver wants no more of it (Standard Webhooks, "Deliverability and reliability")."""
ASKS_TO_WAIT = (429, 503)
TURN_S = 1.0


@dataclass(frozen=True, slots=True)
class Courier:
    """Delivers what waits. 2xx alone is success; redirects are not followed: a signed body must not wander.

    `ring` is called when more could be posted at once. Without `make_link` events go whole, however large.
    """

    outbox: Outbox
    secrets: signing.Secrets
    client: httpx.Client
    name: str
    schedule_s: tuple[float, ...] = SCHEDULE_S
    make_link: MakeLink | None = None
    ring: Callable[[], None] = lambda: None
    posting: dict[str, Consignment] = field(default_factory=dict)
    """What is under way, by its holder."""

    def release(self) -> None:
        """Gives back what is under way, for another to post at once under the same id: it may have arrived or not."""
        for consignment in [*self.posting.values()]:
            if not self._settle(consignment, Receipt("released", "Its deliverer was told to stop.")):
                # Redis is gone: asking for each would outlast the supervisor's patience.
                return

    def run(self) -> None:
        """What one doorbell asks for: posts until nothing more may be posted, and rings for others to help.

        After a second it rings once more and ends: a thread that never came back could not be told to stop.
        """
        ends = time.monotonic() + TURN_S
        while self.post_next():
            if time.monotonic() > ends:
                self.ring()
                return

    def post_next(self) -> bool:
        """One post, if one may be made; whether one was."""
        try:
            consignment = self.outbox.claim_deliveries(self.name)
        except SluiceError as exc:
            log.warning("No delivery could be claimed.", action="delivery.unclaimed", error=str(exc))
            return False
        if consignment is None:
            return False
        if consignment.has_more:
            self.ring()
        self.posting[consignment.holder] = consignment
        try:
            self._settle(consignment, self._post(consignment))
        finally:
            self.posting.pop(consignment.holder, None)
        return True

    def _settle(self, consignment: Consignment, receipt: Receipt) -> bool:
        """Whether the ledger answered; else the leases run out, and all is posted again under the same ids."""
        told = {"endpoint": consignment.endpoint.name, "deliveries": [each.id for each in consignment.claims]}
        delays_s = [delay_s(self.schedule_s, each.attempt, random.random()) for each in consignment.claims]
        try:
            lost = self.outbox.settle_deliveries(consignment, receipt, delays_s=delays_s)
        except SluiceError as exc:
            log.warning("How a post ended could not be noted.", action="delivery.unnoted", **told, error=str(exc))
            return False
        if receipt.result == "delivered":
            log.info("A webhook was delivered.", action="delivery.done", **told)
        else:
            tries = [each.attempt for each in consignment.claims]
            action = f"delivery.{receipt.result}"
            log.warning("A webhook was not delivered.", action=action, **told, attempts=tries, reason=receipt.reason)
        if lost:
            log.warning("Deliveries were taken over while they were posted.", action="delivery.lost", deliveries=lost)
        return True

    def _post(self, consignment: Consignment) -> Receipt:
        try:
            secrets = self.secrets.of(consignment.endpoint.name)
            parcel = pack(consignment, self.make_link)
        except (BadInput, Misconfigured) as exc:
            return Receipt("refused", str(exc))
        signed = signing.headers(parcel.id, parcel.body, secrets)
        return send(self.client, consignment.endpoint, parcel, signed)


def send(client: httpx.Client, endpoint: Endpoint, parcel: Parcel, headers: dict[str, str]) -> Receipt:
    """One post, and what came of it."""
    try:
        with client.stream("POST", endpoint.url, content=parcel.body, headers=headers) as got:
            status, retry_after = got.status_code, got.headers.get("retry-after")
    except Exception as exc:  # a URL, a host name or a server may break anything; the attempt must be counted
        is_ours = isinstance(exc.__cause__, Forbidden)
        return Receipt("refused", str(exc) if is_ours else f"{type(exc).__name__} while posting.")
    if 200 <= status < 300:
        return Receipt("delivered")
    wait_s = retry_after_s(retry_after, datetime.now(UTC)) if status in ASKS_TO_WAIT else 0.0
    return Receipt("gone" if status == GONE else "refused", f"The receiver answered {status}.", wait_s)
