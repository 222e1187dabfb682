"""Documents as the ledger keeps them: long ones compressed, and known by a digest when they come back."""

import hashlib

import zstandard

from sluice_schemas.errors import BadInput

LONG_BYTES = 64 * 1024
MAX_BYTES = 32 * 1024 * 1024
"""More than any order has: a text of 4 MiB (`document.MAX_TEXT_BYTES`) grows at most sixfold as JSON."""

MARK = b"zstd\x00"
_DIGEST_BYTES = hashlib.sha256().digest_size


def pack(body: bytes) -> bytes:
    """What to store: the body itself up to 64 KiB, else a mark, the SHA-256 of the body and its zstd frame."""
    if len(body) <= LONG_BYTES:
        return body
    return MARK + hashlib.sha256(body).digest() + zstandard.ZstdCompressor(level=3).compress(body)


def unpack(stored: bytes) -> bytes:
    """The body that was packed. Raises `BadInput` when what is stored is not what `pack` wrote."""
    if not stored.startswith(MARK):
        return stored
    digest, frame = stored[len(MARK) :][:_DIGEST_BYTES], stored[len(MARK) + _DIGEST_BYTES :]
    try:
        size_bytes = zstandard.frame_content_size(frame)
        if not 0 <= size_bytes <= MAX_BYTES:
            raise BadInput(f"The stored document says that it has {size_bytes} bytes, which none has. {_ADVICE}")
        body = zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError as exc:
        raise BadInput(f"The stored document cannot be decompressed. {_ADVICE}") from exc
    if hashlib.sha256(body).digest() != digest:
        raise BadInput(f"The stored document is not the one that was accepted: its digest differs. {_ADVICE}")
    return body


_ADVICE = "Redis or its file was damaged or written by others; submit the document again under a new key."
