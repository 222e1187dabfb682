"""Documents as the ledger keeps them."""

import hashlib

import pytest
import zstandard

from sluice_schemas.errors import BadInput
from sluice_schemas.ledger.packing import MARK, MAX_BYTES, unpack


def test_a_few_bytes_do_not_unpack_to_more_than_any_document_has() -> None:
    body = bytes(MAX_BYTES + 1)
    digest, whole = hashlib.sha256(body).digest(), zstandard.ZstdCompressor()
    unsaid = zstandard.ZstdCompressor(write_content_size=False)
    for bomb in (whole.compress(body), unsaid.compress(body)):
        assert len(bomb) < MAX_BYTES // 1000
        with pytest.raises(BadInput, match="bytes, which none has"):
            unpack(MARK + digest + bomb)
