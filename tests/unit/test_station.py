"""How a worker process ends, told by its exit code. The farewell of real ones stands in the integration tests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from celery.signals import worker_ready, worker_shutting_down

from sluice_worker.process.station import Exit, Station
from sluice_worker.tasks import app as celery_app


@dataclass
class FakeCelery:
    """An application whose worker does `life` instead of consuming."""

    life: Callable[[], None]
    settings: dict[str, Any] = field(default_factory=dict)

    def Worker(self, **settings: Any) -> "FakeCelery":
        self.settings = settings
        return self

    def start(self) -> None:
        self.life()


def dies() -> None:
    worker_ready.send(sender=None)


def is_told_to_stop() -> None:
    worker_ready.send(sender=None)
    worker_shutting_down.send(sender=None)


def station(app: FakeCelery) -> Station:
    return Station(app, threads=3, grace_s=60.0, release=lambda: None)


# What happens to the Celery worker, and how the process ends.
ENDS = [
    pytest.param(is_told_to_stop, Exit.DONE, id="told to stop"),
    # Celery logs an unrecoverable error and returns; a supervisor must start the process again.
    pytest.param(dies, Exit.FAILED, id="dies"),
]


@pytest.mark.parametrize(("life", "code"), ENDS)
def test_end(life: Callable[[], None], code: Exit) -> None:
    happened: list[str] = []
    helpers = [lambda: happened.append("leases"), lambda: happened.append("engine")]
    assert station(FakeCelery(life)).serve(helpers=helpers, on_ready=lambda: happened.append("ready")) == code
    assert happened == ["ready", "leases", "engine"]
    is_told_to_stop()
    assert happened == ["ready", "leases", "engine"], "it has let go of Celery's signals"


def test_flags_of_the_worker() -> None:
    app = FakeCelery(dies)
    station(app)
    assert (app.settings["pool"], app.settings["concurrency"], app.settings["prefetch_multiplier"]) == ("threads", 3, 1)


def test_settings_of_the_application() -> None:
    conf = celery_app.make("redis://127.0.0.1:1/0", "extract", canary="sluice.canary.w").conf
    assert conf.accept_content == ["json"]
    assert conf.task_acks_late is False
    assert conf.task_ignore_result is True
    assert conf.worker_prefetch_multiplier == 1
    assert conf.result_backend is None
