"""Whether a webhook comes from someone who knows the secret: Standard Webhooks."""

from collections.abc import Mapping, Sequence

from standardwebhooks import Webhook, WebhookVerificationError

from sluice_schemas.errors import Misconfigured
from sluice_schemas.signing_secret import FORM, is_secret

VARIABLE = "SLUICE_KNOWLEDGE_SECRET"
MAX_SECRETS = 2


class Gate:
    """Lets in what one of its secrets has signed."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._webhooks = [Webhook(each) for each in secrets]

    def lets_in(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Headers by their names in lower case."""
        return any(_is_signed(each, body, headers) for each in self._webhooks)


def read_secrets(environment: Mapping[str, str]) -> list[str]:
    """One secret, or two while it is changed, separated by a space. Raises `Misconfigured`."""
    found = environment.get(VARIABLE, "").split()
    if not 1 <= len(found) <= MAX_SECRETS or not all(map(is_secret, found)):
        raise Misconfigured(
            f"Set {VARIABLE} to the secret that the sender signs with: {FORM}, or "
            "two of them, separated by a space, while it is changed. To make one: openssl rand -base64 32."
        )
    return found


def _is_signed(webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> bool:
    try:
        webhook.verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # verify lets malformed headers and bodies through as ValueError
        return False
    return True
