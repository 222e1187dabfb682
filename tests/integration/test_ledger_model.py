"""The model of the system against a real Redis, whose scripts see a clock that stands still between steps."""

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from ledger_machine import LedgerMachine, must_see
from ledger_stage import Clock, Stage
from redis import Redis
from redis.commands.core import Script

from sluice_producer.ledger import RedisLedger as Producer
from sluice_worker.ledger import RedisLedger as Worker
from sluice_worker.ledger import RedisOutbox

CLOCK = "{sluice}:clock"
READS_CLOCK = "redis.call('TIME')"
BUSY = settings(suppress_health_check=[HealthCheck.too_slow])


class Timed(Redis):
    """Redis with a clock that only the test turns, and, on request, with a defect in its scripts."""

    defect = "", ""

    def register_script(self, script: Any) -> Script:
        assert READS_CLOCK in script
        told = f"{{redis.call('GET', '{CLOCK}'), '0'}}"
        return super().register_script(script.replace(READS_CLOCK, told).replace(*self.defect))

    def time(self, **_: Any) -> Any:
        return float(self.get(CLOCK) or 0), 0


class RedisMachine(LedgerMachine):
    client: Timed

    def a_stage(self, clock: Clock) -> Stage:
        def wait(seconds: float) -> None:
            clock.wait(seconds)
            self.client.set(CLOCK, repr(clock.now))
            # The sweeper's lock ends by the real clock.
            time.sleep(0.002)

        self.client.flushall()
        wait(0)
        return Stage(Producer(self.client), Worker(self.client), RedisOutbox(self.client), wait)


@pytest.fixture
def machine(redis_url: str) -> type[RedisMachine]:
    return type("Machine", (RedisMachine,), {"client": Timed.from_url(redis_url)})


def test_redis_keeps_the_promise(machine: type[RedisMachine]) -> None:
    run_state_machine_as_test(machine, settings=settings(BUSY, max_examples=60, stateful_step_count=50))


@pytest.mark.parametrize(
    "defect",
    [
        pytest.param(("row.fence == fence then return nil", "true then return nil"), id="zombies may settle"),
        pytest.param(("post(id, row", "tostring(id, row"), id="nobody hears of an end"),
        pytest.param(
            ("HINCRBY', P .. kind .. ':' .. id, 'fence', 1", "HINCRBY', P .. kind .. ':' .. id, 'fence', 0"),
            id="fences stand still",
        ),
    ],
)
def test_model_sees(machine: type[RedisMachine], defect: tuple[str, str]) -> None:
    machine.client.defect = defect
    must_see(machine, settings(BUSY, max_examples=200))
