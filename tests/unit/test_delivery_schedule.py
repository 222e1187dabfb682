"""When a webhook comes again, and links that end."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice_schemas.event import Event
from sluice_schemas.job import Job
from sluice_schemas.links import LIVES_S, Links
from sluice_worker.delivery.schedule import MOST_WAIT_S, SCHEDULE_S, delay_s, retry_after_s

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def test_the_schedule_spreads_by_a_fifth_and_ends() -> None:
    assert delay_s(SCHEDULE_S, 1, 0.5) == pytest.approx(SCHEDULE_S[0])
    assert delay_s((100.0,), 1, 0.0) == pytest.approx(80)
    assert delay_s((100.0,), 1, 1.0) == pytest.approx(120)
    assert delay_s((100.0,), 2, 0.5) is None
    assert 2.5 * 86_400 < sum(SCHEDULE_S) < 4 * 86_400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Sat, 31 Jan 2026 12:01:30 GMT", 90.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),  # over
        ("99999999999", MOST_WAIT_S),  # for ever
        ("-5", 0.0),
        ("soon", 0.0),
        ("٣", 0.0),  # a digit, but none of the protocol's
    ],
)
def test_retry_after(value: str | None, seconds: float) -> None:
    assert retry_after_s(value, NOW) == seconds


def test_a_link_opens_its_own_job_until_its_time_is_over() -> None:
    links = Links("https://x.example/sluice/", b"k" * 32, clock=lambda: 1000.0)
    job = Job(id="j/1", state="dead", document_id="d", schema_ref="n/x@1", priority="bulk", accepted_at=1.0)
    link = links.to(Event(type="extraction.failed", timestamp="t", job=job))
    path, _, query = link.url.partition("?")
    assert path == "https://x.example/sluice/v1/events/j%2F1"
    expires, signature = (part.partition("=")[2] for part in query.split("&"))
    assert datetime.fromisoformat(link.expires_at) - datetime.fromtimestamp(1000, UTC) == timedelta(seconds=LIVES_S)
    assert links.is_valid("j/1", int(expires), signature)
    for job_id, until, signed in (
        ("j/2", int(expires), signature),
        ("j/1", int(expires) + 1, signature),
        ("j/1", int(expires), signature[:-1] + "é"),
        ("j/1", int(expires), ""),
    ):
        assert not links.is_valid(job_id, until, signed)
    late = Links("https://x.example", b"k" * 32, clock=lambda: 1000.0 + LIVES_S)
    assert not late.is_valid("j/1", int(expires), signature)
    assert not Links("https://x.example", b"o" * 32, clock=lambda: 1000.0).is_valid("j/1", int(expires), signature)
