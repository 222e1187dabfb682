"""The secrets with which webhooks are signed and verified: Standard Webhooks, "Signature scheme"."""

import secrets
from base64 import b64decode, b64encode

MARK = "whsec_"
FORM = f"'{MARK}' and the base64 of 24 to 64 bytes"


def is_secret(text: str) -> bool:
    """Whether it can sign."""
    try:
        return text.startswith(MARK) and 24 <= len(b64decode(text.removeprefix(MARK), validate=True)) <= 64
    except ValueError:
        return False


def make() -> str:
    """A new one, of 32 bytes."""
    return MARK + b64encode(secrets.token_bytes(32)).decode()
