"""The id a document has when its caller gives none (OneKE's protocol, section 6)."""

import hashlib


def document_id(text: str) -> str:
    """Lower-case hex SHA-256 of the UTF-8 text. Equal texts share an id."""
    return hashlib.sha256(text.encode()).hexdigest()
