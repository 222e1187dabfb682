"""A worker that hears nothing, or whose engine answers nothing, knows it; one that is busy is neither."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from work_stage import BusyEngine, answer

from sluice_schemas.errors import EngineStuck, Unavailable
from sluice_schemas.queues import CANARY_TASK, SilentDoorbell
from sluice_worker.engine.attended import AttendedEngine
from sluice_worker.engine.request import Request
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.protocol.prompt import Prompt
from sluice_worker.pulse import Patience, Pulse

DEAF_S = 0.2
REQUEST = Request(Prompt(("Anna works in Kyiv.",)), 10)


class Nowhere:
    """Stands for Redis, where canaries are given a time to live."""

    def expire(self, key: str, seconds: int) -> None:
        assert key == "sluice:sluice.canary.w"


class Away(SilentDoorbell):
    def ring(self, task: str, queue: str, id: str) -> None:
        raise Unavailable


@contextmanager
def watched(doorbell: SilentDoorbell, **changes: Any) -> Iterator[tuple[Pulse, threading.Event]]:
    deaf = threading.Event()
    nowhere: Any = Nowhere()
    patience = Patience(DEAF_S, changes.pop("stuck_s", 60.0))
    pulse = Pulse(doorbell, nowhere, name="w", threads=2, patience=patience, on_deaf=deaf.set, **changes)
    pulse.start()
    try:
        yield pulse, deaf
    finally:
        pulse.stop()


class Echo(SilentDoorbell):
    """What is rung is heard."""

    pulse: Pulse

    def ring(self, task: str, queue: str, id: str) -> None:
        super().ring(task, queue, id)
        self.pulse.heard()


def test_who_hears_nothing_is_deaf() -> None:
    doorbell = SilentDoorbell()
    with structlog.testing.capture_logs() as logs, watched(doorbell) as (pulse, deaf):
        assert deaf.wait(10)
    assert {(bell.task, bell.queue) for bell in doorbell.rung} == {(CANARY_TASK, pulse.queue)}
    assert [line["action"] for line in logs] == ["worker.deaf"]


def test_who_hears_its_canaries_is_not_and_shows_it(tmp_path: Path) -> None:
    doorbell, sign = Echo(), tmp_path / "ready"
    with watched(doorbell) as (pulse, deaf):
        doorbell.pulse, pulse.sign_file = pulse, sign
        assert not deaf.wait(5 * DEAF_S)
    assert sign.exists()


def test_who_has_no_free_thread_is_not_deaf_and_gets_no_canaries() -> None:
    doorbell = SilentDoorbell()
    with watched(doorbell) as (pulse, deaf), pulse.at_work(), pulse.at_work():
        assert not deaf.wait(5 * DEAF_S)
        assert len(doorbell.rung) <= 1


def test_the_time_in_which_no_thread_was_free_does_not_count() -> None:
    with watched(SilentDoorbell()) as (pulse, deaf):
        with pulse.at_work(), pulse.at_work():
            time.sleep(3 * DEAF_S)
        freed = time.monotonic()
        assert deaf.wait(10)
        assert time.monotonic() - freed > DEAF_S


def test_who_cannot_ring_is_not_deaf() -> None:
    with watched(Away()) as (_, deaf):
        assert not deaf.wait(5 * DEAF_S)


def test_an_engine_that_answers_nothing_is_given_up() -> None:
    engine = AttendedEngine(BusyEngine())
    future = engine.submit(REQUEST)
    with (
        structlog.testing.capture_logs() as logs,
        watched(SilentDoorbell(), engine=engine, stuck_s=0.1),
        pytest.raises(EngineStuck, match="answered nothing"),
    ):
        future.result(10)
    assert "engine.stuck" in [line["action"] for line in logs]


def test_an_engine_is_silent_only_while_it_owes_an_answer() -> None:
    busy = BusyEngine()
    engine = AttendedEngine(busy)
    assert engine.silent_s() == 0
    engine.submit_all([REQUEST, REQUEST])
    time.sleep(0.05)
    assert engine.silent_s() >= 0.05
    busy.running[0][1].set_exception(ValueError())
    assert engine.silent_s() < 0.05, "an answer, if a bad one"
    busy.running[1][1].cancel()
    assert engine.silent_s() == 0
    done = AttendedEngine(ScriptedEngine(answer))
    done.submit(REQUEST)
    assert done.silent_s() == 0
