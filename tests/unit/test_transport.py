"""What a stranger pushes on our queue starts nothing, ends nothing and leaves nothing behind."""

from typing import Any

import orjson
import pytest
from fuzz.envelope import hear
from fuzz.seeds import envelopes
from redis.exceptions import ResponseError

from sluice_schemas.queues import EXTRACT_TASK

(BELL,) = envelopes()


def changed(part: str, **fields: Any) -> bytes:
    envelope = orjson.loads(BELL)
    envelope[part] |= fields
    return orjson.dumps(envelope)


def test_a_doorbell_is_heard() -> None:
    assert hear(BELL) == [EXTRACT_TASK]


@pytest.mark.parametrize(
    "item",
    [
        b"",
        b"\xff",
        b"null",
        b"[" * 100_000,  # a RecursionError in Python's reader
        b'{"__type__": "decimal", "__value__": "x"}',  # kombu's own types: an ArithmeticError
        changed("properties", delivery_tag=None),  # an error of Redis's client
        changed("properties", delivery_tag=["a"]),
        changed("properties", delivery_info=7),
        changed("properties", body_encoding="no such"),
        changed("headers", task=["a"]),  # taken already when it turns out that it is none
        changed("headers", compression="zlib"),
    ],
)
def test_what_is_no_message_is_dropped_for_good(item: bytes) -> None:
    for _ in range(3):
        assert hear(item) == []
    assert hear(BELL) == [EXTRACT_TASK]


def test_trouble_of_redis_is_no_malformed_message() -> None:
    with pytest.raises(ResponseError, match="OOM"):
        hear(ResponseError("OOM command not allowed"))
