"""When a webhook that was not taken is posted again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SCHEDULE_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""What the Standard Webhooks specification recommends ("Deliverability and reliability"): three days in all."""
SPREAD = 0.2
MOST_WAIT_S = 86_400.0
"""Who asks to be left alone for longer is asked again after a day."""


def delay_s(schedule_s: Sequence[float], attempt: int, random: float) -> float | None:
    """Seconds from a number of failed attempts (from 1) to the next; None when that was the last.

    `random` in [0, 1) spreads the wait by a fifth to either side, so that what failed together comes back apart.
    """
    if attempt > len(schedule_s):
        return None
    return schedule_s[attempt - 1] * (1 - SPREAD + 2 * SPREAD * random)


def retry_after_s(value: str | None, now: datetime) -> float:
    """What a Retry-After header asks for, as seconds or as a date (RFC 9110, section 10.2.3); 0 for nonsense."""
    if value is None:
        return 0.0
    if value.strip().isascii() and value.strip().isdigit():
        return min(MOST_WAIT_S, float(value))
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(MOST_WAIT_S, max(0.0, (at - now).total_seconds()))
