"""What time does to jobs and deliveries in every ledger: delays, deadlines, leases, and the sweeper."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from ledger_stage import HALF_S, OVER_S, QUICK, Stage, extraction

from sluice_schemas.errors import Lost, NotFound
from sluice_schemas.event import Event
from sluice_schemas.queues import delivery_bell, job_bell


class SweepContract:
    """Subclass it with a `stage` fixture whose limits are QUICK."""

    def test_zombie_is_refused_and_the_next_claim_wins(self, stage: Stage) -> None:
        zombie = stage.vanish(stage.submit().id)
        assert stage.sweep().taken_back == 1
        claim = stage.worker.claim(zombie.job_id, "w2")
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
        assert (outcome.state, outcome.deliveries) == ("queued", ())
        assert stage.producer.job(claim.job_id).reason == "engine busy"
        assert stage.sweep().doorbells == ()
        stage.wait(HALF_S)
        assert stage.sweep().doorbells == (job_bell(claim.job_id, "bulk"),)
        again = stage.worker.claim(claim.job_id, "w")
        assert again is not None
        assert (again.attempt, again.is_suspect) == (2, False)

    def test_attempt_on_which_the_engine_died_comes_back_as_a_suspect(self, stage: Stage) -> None:
        claim = stage.claimed(priority="bulk")
        assert stage.worker.fail(claim, "engine dead", verdict="suspect").state == "queued"
        stage.wait(HALF_S)
        assert len(stage.sweep().doorbells) == 1
        again = stage.worker.claim(claim.job_id, "w")
        assert again is not None
        assert (again.attempt, again.is_suspect) == (2, True)

    def test_document_that_takes_workers_down_three_times_is_dead(self, stage: Stage) -> None:
        job = stage.submit(endpoints=("kb",))
        suspects = []
        for _ in range(2):
            suspects.append(stage.vanish(job.id).is_suspect)
            swept = stage.sweep()
            assert (swept.taken_back, swept.doorbells) == (1, (job_bell(job.id, "interactive"),))
        suspects.append(stage.vanish(job.id).is_suspect)
        swept = stage.sweep()
        assert (swept.buried, swept.taken_back, len(swept.doorbells)) == ((job.id,), 0, 1)
        assert suspects == [False, True, True]
        dead = stage.producer.job(job.id)
        assert (dead.state, dead.attempts) == ("dead", 3)
        assert "vanished" in (dead.reason or "")
        post = stage.worker.claim_delivery(swept.doorbells[0].id, "w")
        assert post is not None
        assert Event.decode(post.body).job.state == "dead"

    def test_deadline_expires_a_job_wherever_it_is(self, stage: Stage) -> None:
        rung = stage.submit(key="a", timeout_s=HALF_S, endpoints=("kb",))
        waiting = stage.submit(key="b", timeout_s=HALF_S, endpoints=("kb",))
        running = stage.claimed(key="c", timeout_s=HALF_S)
        stage.wait(HALF_S)
        assert stage.worker.claim(rung.id, "w") is None
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
        post = stage.worker.claim_delivery(swept.doorbells[0].id, "w")
        assert post is not None
        assert Event.decode(post.body).job.state == "expired"

    def test_release_gives_back_at_once_and_counts_no_try(self, stage: Stage) -> None:
        claim = stage.claimed()
        stage.worker.release(claim)
        assert stage.sweep().doorbells == (job_bell(claim.job_id, "interactive"),)
        again = stage.worker.claim(claim.job_id, "w")
        assert again is not None
        assert (again.attempt, again.is_suspect) == (1, False)
        assert again.fence > claim.fence

    def test_lost_doorbell_is_rung_again_once_in_a_while(self, stage: Stage) -> None:
        job = stage.submit()
        assert stage.sweep().doorbells == ()
        stage.wait(OVER_S)
        assert stage.sweep().doorbells == (job_bell(job.id, "interactive"),)
        assert stage.sweep().doorbells == ()

    def test_long_backlog_is_not_flooded(self, stage: Stage) -> None:
        jobs = [stage.submit(key=str(n)).id for n in range(25)]
        stage.wait(OVER_S)
        rung = [[bell.id for bell in stage.sweep(limit=10).doorbells] for _ in range(4)]
        assert [len(bells) for bells in rung] == [10, 10, 5, 0]
        assert [job_id for bells in rung for job_id in bells] == jobs, "the one that waited longest first"

    def test_one_sweep_rings_no_more_than_it_may(self, stage: Stage) -> None:
        lost, released = [stage.submit(key=f"l{n}") for n in range(6)], [stage.claimed(key=f"r{n}") for n in range(6)]
        for claim in released:
            stage.worker.release(claim)
        stage.wait(OVER_S)
        first, second = ([bell.id for bell in stage.sweep(limit=10).doorbells] for _ in range(2))
        assert len(first) == 10
        assert sorted(first + second) == sorted([*(job.id for job in lost), *(claim.job_id for claim in released)])

    def test_sweep_is_single_flight(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, sweep_s=60))
        stage.worker.release(stage.claimed())
        with ThreadPoolExecutor(8) as pool:
            swept = [*pool.map(lambda _: stage.worker.sweep(), range(8))]
        assert sum(bool(each.doorbells) for each in swept) == 1
        stage.worker.release(stage.claimed(key="next"))
        assert stage.sweep().doorbells == (), "the lock stands for `sweep_s`"

    def test_heartbeat_keeps_the_leases(self, stage: Stage) -> None:
        claims = [stage.claimed(key=key) for key in "abc"]
        for _ in range(3):
            stage.wait(HALF_S)
            assert stage.worker.renew(claims) == {}
            assert stage.sweep().taken_back == 0
        assert stage.worker.renew([]) == {}

    def test_delivery_is_claimed_by_one_until_it_ends(self, stage: Stage) -> None:
        claim = stage.claimed(endpoints=("kb",))
        (delivery_id,) = stage.worker.commit(claim, extraction(claim))
        post = stage.worker.claim_delivery(delivery_id, "w")
        assert post is not None
        assert (post.attempt, post.job_id) == (1, claim.job_id)
        assert stage.worker.claim_delivery(delivery_id, "w") is None
        stage.worker.retry_delivery(post, "503", delay_s=HALF_S, final=False)
        assert stage.worker.claim_delivery(delivery_id, "w") is None
        stage.wait(HALF_S)
        assert stage.sweep().doorbells == (delivery_bell(delivery_id),)
        again = stage.worker.claim_delivery(delivery_id, "w")
        assert again is not None
        assert (again.id, again.body, again.attempt) == (post.id, post.body, 2)
        with pytest.raises(Lost):
            stage.worker.delivered(post)
        for _ in range(2):
            stage.worker.delivered(again)
        with pytest.raises(Lost):
            stage.worker.retry_delivery(again, "x", delay_s=0, final=True)
        assert stage.worker.claim_delivery(delivery_id, "w") is None
        assert stage.worker.counts().deliveries == 0

    def test_delivery_of_a_vanished_worker_is_taken_back(self, stage: Stage) -> None:
        claim = stage.claimed(endpoints=("kb",))
        (delivery_id,) = stage.worker.commit(claim, extraction(claim))
        zombie = stage.worker.claim_delivery(delivery_id, "w")
        assert zombie is not None
        stage.wait(OVER_S)
        assert stage.sweep().doorbells == (delivery_bell(delivery_id),)
        post = stage.worker.claim_delivery(delivery_id, "w")
        assert post is not None
        with pytest.raises(Lost):
            stage.worker.delivered(zombie)
        stage.worker.retry_delivery(post, "410", delay_s=0, final=True)
        stage.wait(OVER_S)
        assert stage.sweep().doorbells == ()
        assert stage.worker.claim_delivery(delivery_id, "w") is None

    def test_result_is_gone_after_its_time(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, retention_s=HALF_S))
        claim = stage.claimed()
        stage.worker.commit(claim, extraction(claim))
        stage.wait(OVER_S)
        assert stage.submit().id == claim.job_id, "the key outlives the result"
        with pytest.raises(NotFound, match="time to live is over"):
            stage.producer.result(claim.job_id)
