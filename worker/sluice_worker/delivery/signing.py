"""The signing secrets of endpoints, and what they sign: Standard Webhooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from standardwebhooks import Webhook

from sluice_schemas.errors import Misconfigured
from sluice_schemas.signing_secret import FORM, MARK, is_secret

SECRET_PREFIX = "SLUICE_SECRET_"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Reads the secrets of endpoints from an environment: `SLUICE_SECRET_<NAME>`, several separated by spaces.

    While a secret is changed all are signed with, so that receivers may have the old or the new one.
    """

    environment: Mapping[str, str]

    def of(self, endpoint: str) -> Sequence[SecretStr]:
        """Raises `Misconfigured` when there is none, or one that cannot sign."""
        name = variable(endpoint)
        if not (found := self.environment.get(name, "").split()):
            raise Misconfigured(f"Endpoint {endpoint!r} has no signing secret. Set {name} to a '{MARK}' secret.")
        if not all(map(is_secret, found)):
            raise Misconfigured(
                f"Each secret in {name} must be {FORM}. Get it from the receiver, or make one: openssl rand -base64 32."
            )
        return [SecretStr(each) for each in found]


def variable(endpoint: str) -> str:
    """The environment variable that holds an endpoint's secrets."""
    return SECRET_PREFIX + endpoint.upper().replace("-", "_")


def headers(webhook_id: str, body: bytes, secrets: Sequence[SecretStr]) -> dict[str, str]:
    """The headers of Standard Webhooks; the id stays the same over all attempts."""
    # Aware UTC only: the library replaces a time zone instead of converting it.
    now = datetime.now(UTC)
    signatures = [Webhook(each.get_secret_value()).sign(webhook_id, now, body.decode()) for each in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
