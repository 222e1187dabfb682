"""What time does to jobs in every ledger: delays, deadlines, leases, and the sweeper."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from ledger_stage import HALF_S, OVER_S, QUICK, Stage, claim_on, extraction

from sluice_schemas.errors import Lost, NotFound
from sluice_schemas.event import Event
from sluice_schemas.queues import DELIVERY_BELL, JOB_BELL


class SweepContract:
    """Subclass it with a `stage` fixture whose limits are QUICK."""

    def test_zombie_is_refused_and_the_next_claim_wins(self, stage: Stage) -> None:
        zombie = stage.vanish(stage.submit().id)
        assert stage.sweep().taken_back == 1
        claim = stage.worker.claim("w2")
        assert claim is not None
        assert claim.fence > zombie.fence
        assert stage.worker.renew([zombie, claim]) == {zombie.job_id: "lost"}
        with pytest.raises(Lost):
            stage.worker.commit(zombie, extraction(zombie, model="zombie"))
        with pytest.raises(Lost):
            stage.worker.fail(zombie, "x", verdict="dead")
        with pytest.raises(Lost):
            stage.worker.release(zombie)
        stage.worker.commit(claim, extraction(claim))
        with pytest.raises(Lost):
            stage.worker.commit(zombie, extraction(zombie, model="zombie"))
        result = stage.producer.result(claim.job_id)
        assert result is not None
        assert result.model == "m"

    def test_failed_attempt_comes_back_after_its_delay(self, stage: Stage) -> None:
        claim = stage.claimed(priority="bulk")
        outcome = stage.worker.fail(claim, "engine busy", verdict="retry", retry_delay_s=HALF_S)
        assert (outcome.state, outcome.rings) == ("queued", 0)
        assert stage.producer.job(claim.job_id).reason == "engine busy"
        assert stage.sweep().doorbells == ()
        stage.wait(HALF_S)
        assert stage.sweep().doorbells == (JOB_BELL,)
        again = stage.worker.claim("w")
        assert again is not None
        assert (again.attempt, again.is_suspect) == (2, False)

    def test_attempt_on_which_the_engine_died_comes_back_as_a_suspect(self, stage: Stage) -> None:
        claim = stage.claimed(priority="bulk")
        assert stage.worker.fail(claim, "engine dead", verdict="suspect").state == "queued"
        stage.wait(HALF_S)
        assert len(stage.sweep().doorbells) == 1
        again = stage.worker.claim("w")
        assert again is not None
        assert (again.attempt, again.is_suspect) == (2, True)

    def test_document_that_takes_workers_down_three_times_is_dead(self, stage: Stage) -> None:
        job = stage.submit(endpoints=("kb",))
        suspects = []
        for _ in range(2):
            suspects.append(stage.vanish(job.id).is_suspect)
            swept = stage.sweep()
            assert (swept.taken_back, swept.doorbells) == (1, (JOB_BELL,))
        suspects.append(stage.vanish(job.id).is_suspect)
        swept = stage.sweep()
        assert (swept.buried, swept.taken_back) == ((job.id,), 0)
        assert suspects == [False, True, True]
        dead = stage.producer.job(job.id)
        assert (dead.state, dead.attempts) == ("dead", 3)
        assert "vanished" in (dead.reason or "")
        assert DELIVERY_BELL in swept.doorbells + stage.sweep().doorbells
        assert Event.decode(stage.consignment().claims[0].body).job.state == "dead"

    def test_deadline_expires_a_job_wherever_it_is(self, stage: Stage) -> None:
        rung = stage.submit(key="a", timeout_s=HALF_S, endpoints=("kb",))
        running = stage.claimed(key="c", timeout_s=HALF_S)
        stage.wait(HALF_S)
        assert stage.worker.claim("w") is None
        waiting = stage.submit(key="b", timeout_s=0.001, endpoints=("kb",))
        assert stage.worker.renew([running]) == {running.job_id: "expired"}
        swept = stage.sweep()
        assert set(swept.expired) == {waiting.id, running.job_id}
        assert stage.worker.renew([running]) == {running.job_id: "expired"}
        with pytest.raises(Lost, match="expired"):
            stage.worker.commit(running, extraction(running))
        for job_id in (rung.id, waiting.id, running.job_id):
            job = stage.producer.job(job_id)
            assert job.state == "expired"
            assert "deadline" in (job.reason or "")
        assert DELIVERY_BELL in swept.doorbells + stage.sweep().doorbells
        assert Event.decode(stage.consignment().claims[0].body).job.state == "expired"

    def test_release_gives_back_at_once_and_counts_no_try(self, stage: Stage) -> None:
        claim = stage.claimed()
        stage.worker.release(claim)
        assert stage.sweep().doorbells == (JOB_BELL,)
        again = stage.worker.claim("w")
        assert again is not None
        assert (again.attempt, again.is_suspect) == (1, False)
        assert again.fence > claim.fence

    def test_as_many_doorbells_are_rung_as_are_lost(self, stage: Stage) -> None:
        jobs = [stage.submit(key=str(n)) for n in range(3)]
        assert stage.sweep(waiting=3).doorbells == (), "all of them wait to be heard"
        assert stage.sweep(waiting=1).doorbells == (JOB_BELL, JOB_BELL)
        for job in jobs:
            claim_on(stage.worker, job.id)
        assert stage.sweep().doorbells == (), "no job waits for one"

    def test_long_backlog_is_not_flooded(self, stage: Stage) -> None:
        for n in range(25):
            stage.submit(key=str(n))
        assert stage.sweep(limit=10).doorbells == (JOB_BELL,) * 10
        assert stage.sweep(limit=10, waiting=10).doorbells == (), "who hears one of these rings for the rest"

    def test_sweep_is_single_flight(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, sweep_s=60))
        stage.worker.release(stage.claimed())
        with ThreadPoolExecutor(8) as pool:
            swept = [*pool.map(lambda _: stage.worker.sweep(), range(8))]
        assert sum(bool(each.doorbells) for each in swept) == 1
        assert stage.sweep().doorbells == (), "the lock stands for `sweep_s`"

    def test_heartbeat_keeps_the_leases(self, stage: Stage) -> None:
        claims = [stage.claimed(key=key) for key in "abc"]
        for _ in range(3):
            stage.wait(HALF_S)
            assert stage.worker.renew(claims) == {}
            assert stage.sweep().taken_back == 0
        assert stage.worker.renew([]) == {}

    def test_leases_outlive_an_outage_in_which_nobody_could_renew(self, stage: Stage) -> None:
        stage.sweep()
        claim, gone = stage.claimed(key="a"), stage.claimed(key="b")
        stage.wait(2 * OVER_S)
        assert stage.sweep().taken_back == 0
        assert stage.worker.renew([claim]) == {}
        stage.wait(HALF_S)
        assert stage.sweep().taken_back == 1, "who does not come back has lost it all the same"
        stage.worker.commit(claim, extraction(claim))
        with pytest.raises(Lost):
            stage.worker.commit(gone, extraction(gone))

    def test_result_is_gone_after_its_time(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, retention_s=HALF_S))
        claim = stage.claimed()
        stage.worker.commit(claim, extraction(claim))
        stage.wait(OVER_S)
        assert stage.submit().id == claim.job_id, "the key outlives the result"
        with pytest.raises(NotFound, match="time to live is over"):
            stage.producer.result(claim.job_id)
