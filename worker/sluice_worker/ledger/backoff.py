"""How long a failed attempt waits before the next."""

FIRST_S = 2.0
MOST_S = 300.0


def backoff_s(attempt: int, random: float) -> float:
    """Seconds after a number of failed attempts (from 1), doubling from 2 s up to 5 minutes.

    `random` in [0, 1) spreads the wait over its upper half, so that jobs that failed together return apart.
    """
    return min(MOST_S, FIRST_S * 2.0 ** min(attempt - 1, 16)) * (0.5 + 0.5 * random)
