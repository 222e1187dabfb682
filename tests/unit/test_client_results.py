"""The client waits for jobs to end, on the ledger's twin in memory."""

import threading
import time
from collections.abc import Callable

import pytest
from client_stage import Stage

from sluice_producer import Extraction, Job, JobFailed, NotFound, Sluice, StillRunning
from sluice_producer.watch import Watch
from sluice_schemas.ledger import Limits, MemoryLedger
from sluice_schemas.queues import SilentDoorbell


@pytest.fixture
def stage() -> Stage:
    return Stage()


class TestResult:
    def test_waits_for_the_end(self, stage: Stage) -> None:
        job = stage.submit()
        threading.Timer(0.05, stage.commit, [job.id]).start()
        assert stage.client.result(job.id, timeout_s=5).job_id == job.id

    def test_time_is_over_but_the_job_goes_on(self, stage: Stage) -> None:
        job = stage.submit()
        with pytest.raises(StillRunning, match="goes on") as caught:
            stage.client.result(job.id, timeout_s=0.05)
        assert isinstance(caught.value, TimeoutError)
        assert stage.client.job(job.id).state == "queued"

    def test_no_time_to_wait_is_one_look(self, stage: Stage) -> None:
        job = stage.submit()
        stage.commit(job.id)
        assert stage.client.result(job.id, timeout_s=0).job_id == job.id

    def test_dead(self, stage: Stage) -> None:
        job = stage.submit()
        stage.ledger.fail(stage.claim(job.id), "the model fell over", verdict="dead")
        with pytest.raises(JobFailed, match="is dead: the model fell over") as caught:
            stage.client.result(job.id)
        assert caught.value.job.state == "dead"

    def test_cancelled(self, stage: Stage) -> None:
        job = stage.submit()
        assert stage.client.cancel(job.id).state == "cancelled"
        with pytest.raises(JobFailed, match="is cancelled"):
            stage.client.result(job.id)

    def test_expired(self, stage: Stage) -> None:
        job = stage.submit(timeout_s=10)
        stage.clock.now += 11
        stage.ledger.sweep()
        with pytest.raises(JobFailed, match="is expired: The deadline passed"):
            stage.client.result(job.id)

    def test_unknown_job(self, stage: Stage) -> None:
        for ask in (stage.client.job, stage.client.result, stage.client.cancel):
            with pytest.raises(NotFound, match="never given out"):
                ask("0" * 32)

    def test_result_whose_time_to_live_is_over(self, stage: Stage) -> None:
        job = stage.submit()
        stage.commit(job.id)
        stage.clock.now += Limits().retention_s + 1
        with pytest.raises(NotFound, match="time to live is over"):
            stage.client.result(job.id)
        assert [type(outcome) for _, outcome in stage.client.results([job.id])] == [NotFound]

    def test_many_come_as_they_end_each_with_its_own_fate(self, stage: Stage) -> None:
        good, bad, slow = (stage.submit(f"text {n}").id for n in range(3))
        stage.commit(good)
        stage.client.cancel(bad)
        found = dict(stage.client.results([good, bad, slow, "unknown", good], timeout_s=0.05))
        kinds = {good: Extraction, bad: JobFailed, "unknown": NotFound, slow: StillRunning}
        assert {job_id: type(outcome) for job_id, outcome in found.items()} == kinds

    def test_waiting_asks_seldom(self) -> None:
        ledger = Counting()
        job = Stage(ledger).submit()
        with pytest.raises(StillRunning):
            Sluice(ledger=ledger, doorbell=SilentDoorbell()).result(job.id, timeout_s=1)
        # 10 ms apart at first, then a tenth of the time waited: about 35 looks, where 10 ms throughout makes 100.
        assert 5 < ledger.looks < 60


class TestWatch:
    def test_weighs_what_is_in_flight(self, stage: Stage) -> None:
        watch: Watch[str] = Watch(stage.client.job)
        jobs = [stage.submit(f"text {n}").id for n in range(2)]
        for job_id, weight in zip([*jobs, jobs[0]], (5, 7, 11), strict=True):
            watch.add(job_id, job_id, weight=weight)
        stage.commit(jobs[0])
        assert [item for item, _ in watch.wait()] == [jobs[0], jobs[0]]
        assert (watch.weight, len(watch), [*watch]) == (7, 1, [jobs[1]])

    def test_looks_once_more_when_the_time_is_over(self, stage: Stage) -> None:
        job, began = stage.submit(), time.monotonic()
        watch: Watch[None] = Watch(lambda job_id: slowly(stage.client.job, job_id))
        watch.add(job.id, None)
        watch.ended()  # it took 0.05 s, so that the next look is due in half a second
        stage.commit(job.id)
        assert len(watch.wait(until=time.monotonic() + 0.05)) == 1
        assert time.monotonic() - began < 0.4


def slowly(look: Callable[[str], Job], job_id: str) -> Job:
    time.sleep(0.05)
    return look(job_id)


class Counting(MemoryLedger):
    looks = 0

    def job(self, job_id: str) -> Job:
        self.looks += 1
        return super().job(job_id)
