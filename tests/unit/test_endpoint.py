"""What may be registered as an endpoint, and what not."""

from typing import Any

import pytest

from sluice_schemas.endpoint import Endpoint
from sluice_schemas.errors import BadInput

URL = "https://kb.example/events"


# What is wrong, and where.
WRONG: list[Any] = [
    pytest.param({"url": "http://kb.example/"}, "plain http", id="plain http by a slip"),
    pytest.param({"url": "ftp://kb.example/"}, "url", id="no web address"),
    pytest.param({"url": "https://user:hunter2@kb.example/"}, "url", id="a password that lists show"),
    pytest.param({"url": "https://kb.example/a b"}, "url", id="a space"),
    pytest.param({"name": "Not a name"}, "name", id="no name"),
    pytest.param({"batch": 0}, "batch", id="no batch"),
    pytest.param({"batch": 101}, "batch", id="too large a batch"),
    pytest.param({"rate_per_s": 0}, "rate_per_s", id="never"),
    pytest.param({"events": ["extraction.done"]}, "events", id="no such event"),
    pytest.param({"hunter2": 1}, "hunter2", id="a field nobody knows"),
]


@pytest.mark.parametrize(("fields", "said"), WRONG)
def test_what_cannot_be_served_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        Endpoint.of({"name": "kb", "url": URL, **fields})
    assert "hunter2@" not in str(refused.value)


def test_plain_http_is_for_those_who_ask_for_it() -> None:
    assert Endpoint.of({"name": "kb", "url": "http://10.0.0.5/", "allow_http": True}).allow_http


def test_the_url_is_not_in_the_repr() -> None:
    # Many services put a token into the path.
    assert "T00" not in repr(Endpoint(name="kb", url="https://hooks.example/T00/x"))


def test_it_comes_back_as_the_ledger_keeps_it() -> None:
    endpoint = Endpoint(name="kb", url=URL, schemas=("news/entities-en",), rate_per_s=2.5, batch=10)
    assert Endpoint.decode(endpoint.encode_whole()) == endpoint
    assert b'"concurrency":4' in endpoint.encode_whole(), "scripts know no defaults"
