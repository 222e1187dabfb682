"""A document on which an engine died runs alone, and another engine's death is not its fault."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from work_stage import Bench, BusyEngine, bench, working

from sluice_schemas.errors import EngineDead
from sluice_worker.engine.request import Completion


def suspect(on: Bench, **changes: Any) -> str:
    """A job under which an engine died, and which is due again."""
    job_id = on.submit(**changes)
    claim = on.ledger.claim("another")
    assert claim is not None
    on.ledger.fail(claim, "The engine died.", verdict="suspect")
    return job_id


def test_a_suspect_waits_until_nobody_runs_and_nobody_begins_beside_it() -> None:
    engine = BusyEngine()
    with bench(engine) as on, ThreadPoolExecutor(2) as pool, working(on, on.submit(), engine) as first:
        alone, later = suspect(on, text="Bad.", key="bad"), on.submit(text="Later.", key="later")
        tried = pool.submit(on.work.run)
        while not on.work.solitude._wanting:
            time.sleep(0.01)
        kept = pool.submit(on.work.run)
        time.sleep(0.1)
        assert len(engine.running) == 1, "the suspect runs beside another"
        assert on.ledger.job(later).state == "queued", "a document was claimed that has to wait"
        engine.finish()
        first.result(10)
        while len(engine.running) < 2:
            time.sleep(0.01)
        time.sleep(0.1)
        assert [each.prompt.text.count("Bad.") for each, _ in engine.running] == [0, 1]
        engine.running[1][1].set_result(Completion("{}", (), True, 1))
        tried.result(10)
        while len(engine.running) < 3:
            time.sleep(0.01)
        engine.running[2][1].set_result(Completion("{}", (), True, 1))
        kept.result(10)
        assert [on.ledger.job(each).state for each in (alone, later)] == ["succeeded", "succeeded"]


def test_a_suspect_that_waited_has_no_part_in_the_death_of_the_engine() -> None:
    engine = BusyEngine()
    with bench(engine) as on, ThreadPoolExecutor(1) as pool, working(on, on.submit(), engine) as first:
        job_id = suspect(on, key="waits")
        tried = pool.submit(on.work.run)
        while on.ledger.job(job_id).state != "running":
            time.sleep(0.01)
        engine.running[0][1].set_exception(EngineDead())
        with pytest.raises(EngineDead):
            first.result(10)
        tried.result(10)
        assert (on.ledger.job(job_id).state, on.ledger.job(job_id).attempts) == ("queued", 1)
