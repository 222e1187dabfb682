"""What every ledger must do, run against the twin in memory and against a real Redis."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from ledger_stage import QUICK, Stage, claim_on, extraction, order, schema

from sluice_schemas.errors import Conflict, Full, Lost, NotFound
from sluice_schemas.event import Event
from sluice_schemas.ledger import Limits, Receipt, Verdict


class LedgerContract:
    """Subclass it with a `stage` fixture whose limits are QUICK."""

    def test_accepted_job_is_queued(self, stage: Stage) -> None:
        job = stage.submit(priority="bulk", tenant="t", endpoints=("kb",), timeout_s=60)
        assert (job.state, job.attempts, job.priority, job.tenant, job.endpoints) == ("queued", 0, "bulk", "t", ("kb",))
        assert job.deadline == pytest.approx(job.accepted_at + 60, abs=0.001)
        assert stage.producer.job(job.id) == job

    def test_unknown_job(self, stage: Stage) -> None:
        for ask in (stage.producer.job, stage.producer.result, stage.producer.document, stage.producer.cancel):
            with pytest.raises(NotFound, match="never given out"):
                ask("0" * 32)

    def test_same_key_same_content_is_the_same_job_even_after_its_end(self, stage: Stage) -> None:
        job = stage.submit()
        assert stage.submit().id == job.id
        claim = stage.worker.claim("w")
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
        stage.submit()
        with ThreadPoolExecutor(8) as pool:
            claims = [*pool.map(lambda n: stage.worker.claim(f"w{n}"), range(16))]
        assert sum(claim is not None for claim in claims) == 1

    def test_claim_carries_what_was_ordered(self, stage: Stage) -> None:
        wanted = order(priority="bulk", endpoints=("kb",), timeout_s=60)
        job = stage.producer.accept(wanted)
        claim = stage.worker.claim("w")
        assert claim is not None
        assert (claim.order, claim.attempt, claim.is_suspect, claim.deadline) == (wanted, 1, False, job.deadline)
        assert claim.job == stage.producer.job(job.id)

    def test_what_does_not_wait_cannot_be_claimed(self, stage: Stage) -> None:
        _running, ended, delayed = (stage.claimed(key=key) for key in "abc")
        stage.worker.commit(ended, extraction(ended))
        stage.worker.fail(delayed, "later", verdict="retry", retry_delay_s=60)
        assert stage.worker.claim("w") is None

    def test_jobs_of_one_tenant_are_taken_in_the_order_in_which_they_came(self, stage: Stage) -> None:
        jobs = [stage.submit(key=str(n)).id for n in range(5)]
        assert turns(stage, 5) == jobs

    def test_classes_share_by_weight_and_none_starves(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, weight_interactive=6, weight_bulk=3, weight_replay=1))
        names: dict[str, str] = {}
        for name in ("interactive", "bulk"):
            names |= {stage.submit(key=f"{name}{n:02}", priority=name).id: name for n in range(60)}
        for n in range(60):
            claim = stage.claimed(key=f"replay{n:02}", priority="replay")
            stage.worker.release(claim)
            names[claim.job_id] = "replay"
        taken = Counter(names[each] for each in turns(stage, 50))
        assert taken["interactive"] == pytest.approx(30, abs=2)
        assert taken["bulk"] == pytest.approx(15, abs=2)
        assert taken["replay"] == pytest.approx(5, abs=2)

    def test_a_class_gets_no_credit_for_the_time_in_which_it_asked_for_nothing(self, stage: Stage) -> None:
        for n in range(40):
            stage.submit(key=f"b{n}", priority="bulk")
        turns(stage, 20)
        late = {stage.submit(key=f"r{n}", priority="replay").id for n in range(20)}
        assert len(late.intersection(turns(stage, 10))) in (2, 3), "a fifth, by weight 1 to 4, and no more"

    def test_a_tenant_with_many_documents_does_not_hold_up_the_others(self, stage: Stage) -> None:
        for n in range(30):
            stage.submit(key=f"a{n}", tenant="a")
        turns(stage, 5)
        small = {stage.submit(key=f"b{n}", tenant="b").id for n in range(3)}
        assert small <= set(turns(stage, 7)), "each second turn is theirs"

    def test_tenants_share_bytes_and_not_documents(self, stage: Stage) -> None:
        long = {stage.submit(key=f"l{n}", tenant="long", text="Anna " * 2000).id for n in range(10)}
        for n in range(60):
            stage.submit(key=f"s{n}", tenant="short", text="Anna " * 200)
        taken = turns(stage, 30)
        assert len(long.intersection(taken)) in (3, 4), "one of ten times the length for each ten"

    def test_a_job_that_is_given_back_keeps_its_turn(self, stage: Stage) -> None:
        first, second = (stage.submit(key=key).id for key in "ab")
        stage.worker.release(claim_on(stage.worker, first))
        assert turns(stage, 2) == [first, second]

    def test_a_long_document_comes_back_as_it_was(self, stage: Stage) -> None:
        text = "Anna works in Kyiv. 安娜在基辅工作。" * 8000
        claim = stage.claimed(text=text)
        assert claim.order.document.text == text
        assert stage.worker.counts().backlog_bytes < 64 * 1024, "it lies there compressed"

    def test_the_time_that_is_left_is_told_with_the_claim(self, stage: Stage) -> None:
        assert stage.claimed(key="a", timeout_s=60).time_left_s == pytest.approx(60, abs=1)
        assert stage.claimed(key="b").time_left_s is None

    def test_webhooks_that_wait_hold_back_jobs_that_would_add_one_for_their_endpoint(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, max_deliveries=1))
        stage.committed()
        with pytest.raises(Full, match="SLUICE_BACKLOG_DELIVERIES"):
            stage.submit(key="posts", endpoints=("audit", "kb"))
        assert stage.submit(key="posts not").state == "queued"
        assert stage.submit(key="posts elsewhere", endpoints=("audit",)).state == "queued"
        stage.settle(stage.consignment(), Receipt("delivered"))
        assert stage.submit(key="posts", endpoints=("audit", "kb")).state == "queued"

    def test_an_endpoint_that_nobody_registered_is_refused(self, stage: Stage) -> None:
        with pytest.raises(NotFound, match=r"'nowhere'.*sluice endpoints"):
            stage.submit(endpoints=("kb", "nowhere"))
        assert stage.worker.counts().queued == 0

    def test_full_says_when_to_come_back(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, max_jobs=1))
        stage.submit(key="0")
        with pytest.raises(Full, match="SLUICE_BACKLOG_JOBS") as refused:
            stage.submit(key="1")
        assert refused.value.retry_after_s == 1.0, "the least"

    def test_commit_ends_the_job_and_fills_the_outbox(self, stage: Stage) -> None:
        claim = stage.claimed(endpoints=("kb", "audit"))
        result = extraction(claim)
        assert stage.producer.result(claim.job_id) is None
        assert stage.worker.commit(claim, result) == 2
        job = stage.producer.job(claim.job_id)
        assert (job.state, job.has_ended, job.reason) == ("succeeded", True, None)
        assert stage.producer.result(claim.job_id) == result
        given = [stage.consignment() for _ in range(2)]
        assert {each.endpoint.name for each in given} == {"kb", "audit"}
        for (post,) in (each.claims for each in given):
            event = Event.decode(post.body)
            assert (event.type, event.extraction) == ("extraction.completed", result)
            assert event.job.state == "succeeded"

    def test_second_commit_of_one_claim_answers_the_same_and_changes_nothing(self, stage: Stage) -> None:
        claim = stage.claimed(endpoints=("kb",))
        assert stage.worker.commit(claim, extraction(claim)) == 1
        assert stage.worker.commit(claim, extraction(claim, model="other")) == 0, "nothing new to ring for"
        result = stage.producer.result(claim.job_id)
        assert result is not None
        assert result.model == "m"
        assert stage.worker.counts().deliveries == 1

    @pytest.mark.parametrize(("verdict", "other"), [("retry", "dead"), ("dead", "retry")])
    def test_a_settled_claim_cannot_be_settled_otherwise(self, stage: Stage, verdict: Verdict, other: Verdict) -> None:
        claim, committed = stage.claimed(endpoints=("kb",)), stage.claimed(key="c")
        outcome = stage.worker.fail(claim, "x", verdict=verdict)
        assert stage.worker.fail(claim, "y", verdict=other).state == outcome.state
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
            claim = stage.worker.claim("w")
            assert claim is not None
            reason, trace = f"unparseable {attempt}", f"trace {attempt}"
            outcome = stage.worker.fail(claim, reason, verdict="retry", traceback=trace, raw="{")
        assert outcome.state == "dead"
        letter = stage.worker.dead_letter(job.id)
        assert (letter.job.reason, letter.traceback, letter.raw) == ("unparseable 3", "trace 3", "{")
        assert [each.id for each in stage.worker.dead_letters()] == [job.id]
        (post,) = stage.consignment().claims
        event = Event.decode(post.body)
        assert (event.type, event.job.state, event.job.reason) == ("extraction.failed", "dead", "unparseable 3")

    def test_final_failure_is_dead_at_once(self, stage: Stage) -> None:
        claim = stage.claimed()
        assert stage.worker.fail(claim, "too long", verdict="dead", raw="x" * 70_000).state == "dead"
        assert "70000 characters in all" in stage.worker.dead_letter(claim.job_id).raw

    def test_a_document_goes_with_the_end_of_its_job_unless_it_is_kept_for_review(self, stage: Stage) -> None:
        plain, kept = stage.claimed(key="plain"), stage.claimed(key="kept", reviewable=True)
        assert stage.producer.document(plain.job_id) == plain.order.document, "while it runs it is there"
        for claim in (plain, kept):
            stage.worker.commit(claim, extraction(claim))
        assert stage.producer.document(plain.job_id) is None
        assert stage.producer.document(kept.job_id) == kept.order.document
        assert stage.worker.counts().backlog_bytes == 0, "what has ended is no backlog"

    def test_what_is_kept_for_review_goes_with_the_result(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, retention_s=1))
        claim = stage.claimed(reviewable=True)
        stage.worker.commit(claim, extraction(claim))
        assert stage.producer.document(claim.job_id) == claim.order.document
        stage.wait(1.1)
        assert stage.producer.document(claim.job_id) is None

    def test_a_cancelled_job_keeps_no_document(self, stage: Stage) -> None:
        job = stage.submit(reviewable=True)
        stage.producer.cancel(job.id)
        assert stage.producer.document(job.id) is None

    def test_cancel(self, stage: Stage) -> None:
        queued, running, ended = stage.submit(key="q"), stage.claimed(key="r"), stage.claimed(key="e")
        stage.worker.commit(ended, extraction(ended))
        assert stage.producer.cancel(queued.id).state == "cancelled"
        assert stage.producer.cancel(running.job_id).state == "cancelled"
        assert stage.producer.cancel(ended.job_id) == stage.producer.job(ended.job_id)
        assert stage.producer.job(ended.job_id).state == "succeeded"
        assert stage.worker.claim("w") is None
        assert stage.worker.renew([running]) == {running.job_id: "cancelled"}
        with pytest.raises(Lost, match="cancelled"):
            stage.worker.commit(running, extraction(running))
        assert stage.producer.result(running.job_id) is None

    def test_replay_starts_a_dead_job_afresh(self, stage: Stage) -> None:
        claim = stage.claimed(endpoints=("kb",), timeout_s=60)
        stage.worker.fail(claim, "bad adapter", verdict="dead")
        (told,) = stage.consignment().claims
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
        again = stage.worker.claim("w")
        assert again is not None
        assert again.order.document == claim.order.document
        assert (again.attempt, again.fence) == (1, claim.fence + 1)
        stage.worker.commit(again, extraction(again))
        assert stage.consignment().claims[0].id != told.id, "another end, another event"

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
        claim = stage.worker.claim("w")
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
        assert counts.waiting == {"interactive": 1, "bulk": 0, "replay": 0}
        assert (counts.queued, counts.delayed, counts.running, counts.dead) == (1, 1, 1, 1)
        assert (counts.deliveries, counts.ended) == (2, {"dead": 1, "succeeded": 1})
        assert 0.09 < counts.oldest_age_s < 10
        assert counts.backlog_bytes > 0
        stage.producer.cancel(first.id)
        stage.producer.cancel(delayed.job_id)
        stage.producer.cancel(_running.job_id)
        assert stage.worker.counts().backlog_bytes == 0


def turns(stage: Stage, count: int) -> list[str]:
    """The jobs whose turn it is, one after the other."""
    claims = [stage.worker.claim("w") for _ in range(count)]
    return [claim.job_id for claim in claims if claim]
