"""Posts the outbox: one signed webhook a delivery, again and again until the receiver takes it."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import structlog
from pydantic import SecretStr
from standardwebhooks import Webhook

from sluice_schemas.errors import Lost, SluiceError
from sluice_schemas.ledger import DeliveryClaim, WorkerLedger
from sluice_worker.ledger.backoff import backoff_s

log = structlog.get_logger()

GONE = 410
"""The receiver wants no more of it (Standard Webhooks, "Deliverability and reliability")."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A registered endpoint with its `whsec_` signing secret."""

    url: str
    secret: SecretStr


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an attempt did not count as delivered, in a sentence; `is_final` says that trying again is of no use."""

    reason: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Courier:
    """Delivers claimed rows. 2xx alone is success; redirects are not followed: a signed body must not wander."""

    ledger: WorkerLedger
    destinations: Mapping[str, Destination]
    client: httpx.Client
    name: str
    max_attempts: int

    def run(self, delivery_id: str) -> None:
        """One attempt at one delivery; a doorbell for one that is over or not due is dropped."""
        try:
            claim = self.ledger.claim_delivery(delivery_id, self.name)
        except SluiceError as exc:
            log.warning(
                "A delivery could not be claimed.", action="delivery.unclaimed", delivery=delivery_id, error=str(exc)
            )
            return
        if claim is not None:
            self._settle(claim, self._post(claim))

    def _settle(self, claim: DeliveryClaim, refused: Refused | None) -> None:
        try:
            if refused is None:
                self.ledger.delivered(claim)
                log.info("A webhook was delivered.", action="delivery.done", delivery=claim.id, endpoint=claim.endpoint)
            else:
                self._later(claim, refused)
        except Lost:
            log.warning("A delivery was taken over while it was posted.", action="delivery.lost", delivery=claim.id)
        except SluiceError as exc:
            # Its lease runs out; then it is posted again under the same id.
            log.warning(
                "What became of a delivery could not be noted.",
                action="delivery.unnoted",
                delivery=claim.id,
                error=str(exc),
            )

    def _later(self, claim: DeliveryClaim, refused: Refused) -> None:
        is_final = refused.is_final or claim.attempt >= self.max_attempts
        delay_s = backoff_s(claim.attempt, random.random())
        self.ledger.retry_delivery(claim, refused.reason, delay_s=delay_s, final=is_final)
        log.warning(
            "A webhook was not taken.",
            action="delivery.dead" if is_final else "delivery.retry",
            delivery=claim.id,
            endpoint=claim.endpoint,
            attempt=claim.attempt,
            reason=refused.reason,
        )

    def _post(self, claim: DeliveryClaim) -> Refused | None:
        destination = self.destinations.get(claim.endpoint)
        if destination is None:
            return Refused(f"No endpoint is registered as {claim.endpoint!r}; add it to SLUICE_ENDPOINTS.")
        try:
            with self.client.stream(
                "POST", destination.url, content=claim.body, headers=_signed(claim, destination)
            ) as got:
                status = got.status_code
        except Exception as exc:  # a URL, a host name or a server may break anything; the attempt must be counted
            return Refused(f"{type(exc).__name__} while posting.")
        if 200 <= status < 300:
            return None
        return Refused(f"The receiver answered {status}.", is_final=status == GONE)


def _signed(claim: DeliveryClaim, destination: Destination) -> dict[str, str]:
    """The headers of Standard Webhooks; the id stays the same over all attempts."""
    # Aware UTC only: the library replaces a time zone instead of converting it.
    now = datetime.now(UTC)
    signature = Webhook(destination.secret.get_secret_value()).sign(claim.id, now, claim.body.decode())
    return {
        "content-type": "application/json",
        "webhook-id": claim.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


def make_client(*, timeout_s: float) -> httpx.Client:
    """A client that follows no redirect and trusts no proxy from the environment."""
    return httpx.Client(timeout=timeout_s, follow_redirects=False, trust_env=False)
