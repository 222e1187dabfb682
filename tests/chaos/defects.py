"""Defects, one for each promise that the judge watches: planted in the test build, never in what is shipped."""

import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sluice_schemas.ledger import scripts
from sluice_worker.delivery import courier
from sluice_worker.delivery.parcel import Parcel
from sluice_worker.ledger import RedisLedger
from sluice_worker.work import Work


def plant(name: str) -> None:
    """Makes this process break its promise."""
    DEFECTS[name]()


def _in_script(script: str, right: str, wrong: str) -> None:
    real = scripts._source

    def source(name: str) -> str:
        text = real(name)
        if name != script:
            return text
        assert right in text, f"{script}.lua no longer says {right!r}"
        return text.replace(right, wrong)

    scripts._source = source


def _replace(of: Any, by: Callable[..., Any], name: str) -> None:
    setattr(of, name, by)


def forgets_leases() -> None:
    """What a killed worker held stays with it for ever."""
    _in_script("sweep", "due('running:job', NOW)", "{}")


def commits_without_fence() -> None:
    """A zombie's commit counts."""
    _in_script("commit", "if refused then return refused end", "if not row then return refused end")


def answers_under_new_ids() -> None:
    """Each attempt to deliver has a webhook-id of its own."""
    real: Callable[..., Parcel] = vars(courier)["pack"]

    def pack(*args: Any) -> Parcel:
        return replace(real(*args), id=f"msg_{uuid.uuid4().hex}")

    _replace(courier, pack, "pack")


def asks_twice() -> None:
    """Each document costs the engine twice what it should."""
    real: Callable[..., Any] = Work._extract

    def extract(self: Work, *args: Any) -> Any:
        real(self, *args)
        return real(self, *args)

    _replace(Work, extract, "_extract")


def leaves_a_child() -> None:
    """A process outlives its worker."""
    real: Callable[..., Any] = RedisLedger.set_limits

    def set_limits(self: RedisLedger, *args: Any) -> None:
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        real(self, *args)

    _replace(RedisLedger, set_limits, "set_limits")


def drops_deliveries() -> None:
    """A result whose webhook was refused once is never sent again."""
    _in_script("settle_deliveries", "delay('delivery', id, delay_s)", "end_delivery(id, name, 'failed', reason)")


DEFECTS: Mapping[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        forgets_leases,
        commits_without_fence,
        answers_under_new_ids,
        asks_twice,
        leaves_a_child,
        drops_deliveries,
    )
}
