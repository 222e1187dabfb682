"""Sends many orders with back-pressure: a full backlog is waited for, and one bad document fails alone."""

import logging
import time
from collections.abc import Callable
from typing import ParamSpec

from sluice_schemas.errors import BadInput, Conflict, Full, SluiceError
from sluice_schemas.job import Job, Order

P = ParamSpec("P")

logger = logging.getLogger("sluice_producer")


def accept_patiently(accept: Callable[[Order], Job], order: Order) -> Job | SluiceError:
    """The job, or why this order cannot become one. Waits while the backlog is full.

    Raises what would fail all the others too: `Unavailable`, `Misconfigured`.
    """
    while True:
        try:
            return accept(order)
        except (BadInput, Conflict) as exc:
            return exc
        except Full as exc:
            logger.warning("%s Trying again in %g s.", exc, exc.retry_after_s)
            time.sleep(exc.retry_after_s)


def attempt(make: Callable[P, Order], *args: P.args, **kwargs: P.kwargs) -> Order | SluiceError:
    """The order, or why it cannot be made."""
    try:
        return make(*args, **kwargs)
    except SluiceError as exc:
        return exc
