"""What every ledger must do, run against the twin in memory and against a real Redis."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from ledger_stage import QUICK, Stage, extraction, order, schema

from sluice_schemas.errors import Conflict, Full, Lost, NotFound
from sluice_schemas.event import Event
from sluice_schemas.ledger import Limits, Verdict


class LedgerContract:
    """Subclass it with a `stage` fixture whose limits are QUICK."""

    def test_accepted_job_is_queued(self, stage: Stage) -> None:
        job = stage.submit(priority="bulk", tenant="t", endpoints=("kb",), timeout_s=60)
        assert (job.state, job.attempts, job.priority, job.tenant, job.endpoints) == ("queued", 0, "bulk", "t", ("kb",))
        assert job.deadline == pytest.approx(job.accepted_at + 60, abs=0.001)
        assert stage.producer.job(job.id) == job

    def test_unknown_job(self, stage: Stage) -> None:
        for ask in (stage.producer.job, stage.producer.result, stage.producer.cancel):
            with pytest.raises(NotFound, match="never given out"):
                ask("0" * 32)

    def test_same_key_same_content_is_the_same_job_even_after_its_end(self, stage: Stage) -> None:
        job = stage.submit()
        assert stage.submit().id == job.id
        claim = stage.worker.claim(job.id, "w")
        assert claim is not None
        stage.worker.commit(claim, extraction(claim))
        assert (stage.submit().id, stage.submit().state) == (job.id, "succeeded")

    @pytest.mark.parametrize(
        "changes",
        [
            {"text": "Bob"},  # another text
            {"schema_ref": "news/entities@2"},  # another schema
            {"endpoints": ("kb",)},  # another place for the result
        ],
    )
    def test_same_key_other_content_conflicts(self, stage: Stage, changes: dict[str, Any]) -> None:
        job = stage.submit()
        with pytest.raises(Conflict, match=job.id):
            stage.submit(**changes)

    def test_each_tenant_has_its_own_keys(self, stage: Stage) -> None:
        assert stage.submit(tenant="a", text="A").id != stage.submit(tenant="b", text="B").id

    def test_one_key_from_eight_threads_is_one_job(self, stage: Stage) -> None:
        with ThreadPoolExecutor(8) as pool:
            jobs = {job.id for job in pool.map(lambda _: stage.submit(), range(32))}
        assert len(jobs) == 1
        assert stage.worker.counts().queued == 1

    @pytest.mark.parametrize(
        "limits",
        [
            replace(QUICK, max_jobs=2),  # by number
            replace(QUICK, max_bytes=2 * len(order("0").encode())),  # by size
        ],
    )
    def test_full_backlog_refuses_until_a_job_ends(self, stage: Stage, limits: Limits) -> None:
        stage.worker.set_limits(limits)
        first = stage.submit(key="0")
        stage.submit(key="1")
        with pytest.raises(Full) as refused:
            stage.submit(key="2")
        assert refused.value.retry_after_s > 0
        assert stage.submit(key="0") == first, "a known key is answered even when full"
        stage.producer.cancel(first.id)
        assert stage.submit(key="2").state == "queued"

    def test_eight_claimers_get_one_claim(self, stage: Stage) -> None:
        job = stage.submit()
        with ThreadPoolExecutor(8) as pool:
            claims = [*pool.map(lambda n: stage.worker.claim(job.id, f"w{n}"), range(16))]
        assert sum(claim is not None for claim in claims) == 1

    def test_claim_carries_what_was_ordered(self, stage: Stage) -> None:
        wanted = order(priority="bulk", endpoints=("kb",), timeout_s=60)
        job = stage.producer.accept(wanted)
        claim = stage.worker.claim(job.id, "w")
        assert claim is not None
        assert (claim.order, claim.attempt, claim.is_suspect, claim.deadline) == (wanted, 1, False, job.deadline)
        assert claim.job == stage.producer.job(job.id)

    def test_doorbell_for_a_job_that_is_not_waiting_is_dropped(self, stage: Stage) -> None:
        running, ended, delayed = (stage.claimed(key=key) for key in "abc")
        stage.worker.commit(ended, extraction(ended))
        stage.worker.fail(delayed, "later", verdict="retry", retry_delay_s=60)
        for job_id in ("0" * 32, running.job_id, ended.job_id, delayed.job_id):
            assert stage.worker.claim(job_id, "w") is None

    def test_commit_ends_the_job_and_fills_the_outbox(self, stage: Stage) -> None:
        claim = stage.claimed(endpoints=("kb", "audit"))
        result = extraction(claim)
        assert stage.producer.result(claim.job_id) is None
        deliveries = stage.worker.commit(claim, result)
        job = stage.producer.job(claim.job_id)
        assert (job.state, job.has_ended, job.reason) == ("succeeded", True, None)
        assert stage.producer.result(claim.job_id) == result
        posts = [stage.worker.claim_delivery(each, "w") for each in deliveries]
        assert [post.endpoint for post in posts if post] == ["kb", "audit"]
        for post in posts:
            assert post is not None
            event = Event.decode(post.body)
            assert (event.type, event.extraction) == ("extraction.completed", result)
            assert event.job.state == "succeeded"

    def test_second_commit_of_one_claim_answers_the_same_and_changes_nothing(self, stage: Stage) -> None:
        claim = stage.claimed(endpoints=("kb",))
        first = stage.worker.commit(claim, extraction(claim))
        assert stage.worker.commit(claim, extraction(claim, model="other")) == first
        result = stage.producer.result(claim.job_id)
        assert result is not None
        assert result.model == "m"
        assert stage.worker.counts().deliveries == 1

    @pytest.mark.parametrize(("verdict", "other"), [("retry", "dead"), ("dead", "retry")])
    def test_a_settled_claim_cannot_be_settled_otherwise(self, stage: Stage, verdict: Verdict, other: Verdict) -> None:
        claim, committed = stage.claimed(endpoints=("kb",)), stage.claimed(key="c")
        outcome = stage.worker.fail(claim, "x", verdict=verdict)
        assert stage.worker.fail(claim, "y", verdict=other) == outcome
        assert stage.producer.job(claim.job_id).reason == "x"
        stage.worker.commit(committed, extraction(committed))
        with pytest.raises(Lost):
            stage.worker.commit(claim, extraction(claim))
        with pytest.raises(Lost):
            stage.worker.fail(committed, "x", verdict="dead")
        with pytest.raises(Lost):
            stage.worker.release(committed)

    def test_third_failure_is_dead_with_its_evidence(self, stage: Stage) -> None:
        job = stage.submit(endpoints=("kb",))
        for attempt in (1, 2, 3):
            claim = stage.worker.claim(job.id, "w")
            assert claim is not None
            reason, trace = f"unparseable {attempt}", f"trace {attempt}"
            outcome = stage.worker.fail(claim, reason, verdict="retry", traceback=trace, raw="{")
        assert outcome.state == "dead"
        letter = stage.worker.dead_letter(job.id)
        assert (letter.job.reason, letter.traceback, letter.raw) == ("unparseable 3", "trace 3", "{")
        assert [each.id for each in stage.worker.dead_letters()] == [job.id]
        post = stage.worker.claim_delivery(outcome.deliveries[0], "w")
        assert post is not None
        event = Event.decode(post.body)
        assert (event.type, event.job.state, event.job.reason) == ("extraction.failed", "dead", "unparseable 3")

    def test_final_failure_is_dead_at_once(self, stage: Stage) -> None:
        claim = stage.claimed()
        assert stage.worker.fail(claim, "too long", verdict="dead", raw="x" * 70_000).state == "dead"
        assert "70000 characters in all" in stage.worker.dead_letter(claim.job_id).raw

    def test_cancel(self, stage: Stage) -> None:
        queued, running, ended = stage.submit(key="q"), stage.claimed(key="r"), stage.claimed(key="e")
        stage.worker.commit(ended, extraction(ended))
        assert stage.producer.cancel(queued.id).state == "cancelled"
        assert stage.producer.cancel(running.job_id).state == "cancelled"
        assert stage.producer.cancel(ended.job_id) == stage.producer.job(ended.job_id)
        assert stage.producer.job(ended.job_id).state == "succeeded"
        assert stage.worker.claim(queued.id, "w") is None
        assert stage.worker.renew([running]) == {running.job_id: "cancelled"}
        with pytest.raises(Lost, match="cancelled"):
            stage.worker.commit(running, extraction(running))
        assert stage.producer.result(running.job_id) is None

    def test_replay_starts_a_dead_job_afresh(self, stage: Stage) -> None:
        claim = stage.claimed(endpoints=("kb",), timeout_s=60)
        outcome = stage.worker.fail(claim, "bad adapter", verdict="dead")
        job = stage.worker.replay(claim.job_id)
        assert (job.state, job.priority, job.attempts, job.deadline, job.ended_at) == (
            "queued",
            "replay",
            0,
            None,
            None,
        )
        assert stage.worker.dead_letters() == []
        assert stage.worker.counts().backlog_bytes > 0
        for ask in (stage.worker.replay, stage.worker.dead_letter):
            with pytest.raises(NotFound, match="dead letters"):
                ask(claim.job_id)
        again = stage.worker.claim(claim.job_id, "w")
        assert again is not None
        assert again.order.document == claim.order.document
        assert (again.attempt, again.fence) == (1, claim.fence + 1)
        assert set(stage.worker.commit(again, extraction(again))).isdisjoint(outcome.deliveries)

    def test_a_dropped_letter_keeps_nothing_but_how_it_ended(self, stage: Stage) -> None:
        claim, kept = stage.claimed(), stage.claimed(key="kept")
        for each in (claim, kept):
            stage.worker.fail(each, "bad adapter", verdict="dead", traceback="trace", raw="{")
        stage.worker.drop(claim.job_id)
        assert [each.id for each in stage.worker.dead_letters()] == [kept.job_id]
        assert (stage.producer.job(claim.job_id).state, stage.worker.counts().dead) == ("dead", 1)
        for ask in (stage.worker.drop, stage.worker.replay, stage.worker.dead_letter):
            with pytest.raises(NotFound, match="dead letters"):
                ask(claim.job_id)
        assert stage.worker.dead_letter(kept.job_id).raw == "{"

    def test_a_closed_intake_refuses_what_is_new_and_nothing_else(self, stage: Stage) -> None:
        job = stage.submit(key="before")
        stage.worker.close_intake()
        with pytest.raises(Full, match="intake is closed"):
            stage.submit(key="after")
        assert stage.submit(key="before") == job
        claim = stage.worker.claim(job.id, "w")
        assert claim is not None
        stage.worker.commit(claim, extraction(claim))
        assert stage.worker.counts().is_closed
        stage.worker.open_intake()
        assert stage.submit(key="after").state == "queued"
        assert not stage.worker.counts().is_closed

    def test_published_schema_never_changes(self, stage: Stage) -> None:
        for side in (stage.producer, stage.worker):
            side.publish(schema())
            assert side.schema("news/entities@1") == schema()
        with pytest.raises(Conflict, match="news/entities@2"):
            stage.producer.publish(schema(name="place"))
        stage.producer.publish(schema(version=2, name="place"))
        assert stage.worker.schemas() == ["news/entities@1", "news/entities@2"]
        with pytest.raises(NotFound, match="news/other@1"):
            stage.worker.schema("news/other@1")

    def test_counts(self, stage: Stage) -> None:
        first = stage.submit(key="q")
        _running, delayed, dead, done = (stage.claimed(key=key, endpoints=("kb",)) for key in "rdxs")
        stage.worker.fail(delayed, "later", verdict="retry", retry_delay_s=60)
        stage.worker.fail(dead, "bad", verdict="dead")
        stage.worker.commit(done, extraction(done))
        stage.wait(0.1)
        counts = stage.worker.counts()
        assert (counts.queued, counts.delayed, counts.running, counts.dead) == (1, 1, 1, 1)
        assert (counts.deliveries, counts.ended) == (2, {"dead": 1, "succeeded": 1})
        assert 0.09 < counts.oldest_age_s < 10
        assert counts.backlog_bytes > 0
        stage.producer.cancel(first.id)
        stage.producer.cancel(delayed.job_id)
        stage.producer.cancel(_running.job_id)
        assert stage.worker.counts().backlog_bytes == 0
