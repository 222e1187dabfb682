"""The model of the system against the twin in memory, and the defects that it must be able to see."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from ledger_machine import LedgerMachine, must_see
from ledger_stage import Clock, Stage, memory_stage

from sluice_schemas.ledger import MemoryLedger, keys
from sluice_schemas.ledger.memory_lines import Lines
from sluice_schemas.ledger.memory_rows import Turn


class TwinMachine(LedgerMachine):
    def a_stage(self, clock: Clock) -> Stage:
        return memory_stage(clock)


TestTwin = TwinMachine.TestCase
TestTwin.settings = settings(max_examples=150, stateful_step_count=60)

Patch = Callable[[pytest.MonkeyPatch], None]


def replaced(owner: Any, name: str, value: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(owner, name, value)


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(replaced(Turn, "is_held", lambda turn, fence: turn.place == "running"), id="zombies may settle"),
        pytest.param(replaced(MemoryLedger, "_is_stale", lambda *_: False), id="leases never end"),
        pytest.param(replaced(MemoryLedger, "_prolong", lambda *_: None), id="an outage makes suspects"),
        pytest.param(replaced(Lines, "remove", lambda *_: None), id="what has ended is given out"),
        pytest.param(replaced(MemoryLedger, "_settled", lambda *_: None), id="a lost reply is a lost claim"),
        pytest.param(replaced(MemoryLedger, "_post", lambda *_: 0), id="nobody hears of an end"),
        pytest.param(replaced(keys, "key_digest", lambda order: keys.new_job_id()), id="a key makes two jobs"),
    ],
)
def test_model_sees(plant: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    must_see(TwinMachine, TestTwin.settings)
