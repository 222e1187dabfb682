"""What every outbox must do: endpoints, their lines, and what becomes of posts."""

from dataclasses import replace

import pytest
from ledger_stage import HALF_S, OVER_S, QUICK, Stage, endpoint, extraction

from sluice_schemas.errors import Conflict, NotFound
from sluice_schemas.event import Event, Notice, read
from sluice_schemas.ledger import Consignment, Receipt
from sluice_schemas.queues import DELIVERY_BELL

TAKEN, REFUSED, GONE = Receipt("delivered"), Receipt("refused", "503"), Receipt("gone", "410")


class OutboxContract:
    """Subclass it with a `stage` fixture whose limits are QUICK."""

    def test_a_post_is_made_by_one_until_it_ends(self, stage: Stage) -> None:
        claim = stage.committed()
        first = stage.consignment()
        (post,) = first.claims
        assert (post.attempt, post.job_id, first.endpoint) == (1, claim.job_id, endpoint("kb"))
        assert stage.outbox.claim_deliveries("d") is None
        assert stage.settle(first, REFUSED) == ()
        assert stage.outbox.claim_deliveries("d") is None, "its next try is not due"
        waiting = stage.outbox.delivery(post.id)
        assert (waiting.state, waiting.attempts, waiting.reason) == ("queued", 1, "503")
        assert waiting.due_at is not None
        stage.wait(HALF_S)
        assert stage.sweep().doorbells == (DELIVERY_BELL,)
        second = stage.consignment()
        (again,) = second.claims
        assert (again.id, again.body, again.attempt) == (post.id, post.body, 2)
        assert stage.settle(first, TAKEN) == (post.id,), "who had it before is not heard"
        for _ in range(2):
            assert stage.settle(second, TAKEN) == (), "a lost answer may be asked for again"
        assert stage.settle(second, REFUSED, delay_s=None) == (post.id,)
        assert stage.outbox.claim_deliveries("d") is None
        assert stage.worker.counts().deliveries == 0
        assert stage.outbox.endpoint("kb").delivered == 1
        with pytest.raises(NotFound):
            stage.outbox.delivery(post.id)

    def test_what_a_vanished_deliverer_held_is_taken_back(self, stage: Stage) -> None:
        stage.committed()
        zombie = stage.consignment()
        # Sweeps go on: a pause in which there are none is taken for an outage of Redis.
        stage.wait(HALF_S)
        assert stage.sweep().doorbells == ()
        stage.wait(HALF_S)
        assert stage.sweep().doorbells == (DELIVERY_BELL,)
        given = stage.consignment()
        assert stage.settle(zombie, TAKEN) == (zombie.claims[0].id,)
        assert stage.settle(given, REFUSED, delay_s=None) == ()
        stage.wait(OVER_S)
        assert stage.sweep().doorbells == ()
        assert stage.outbox.claim_deliveries("d") is None

    def test_as_many_doorbells_are_rung_as_posts_could_begin(self, stage: Stage) -> None:
        for n in range(9):
            stage.committed(str(n))
        assert stage.sweep(waiting_deliveries=2).doorbells == (DELIVERY_BELL,) * 2, "four at once, by default"
        stage.outbox.add_endpoint(endpoint("kb", concurrency=20), replace=True)
        assert len(stage.sweep().doorbells) == 9
        assert len(stage.sweep(limit=5).doorbells) == 5
        stage.outbox.pause_endpoint("kb")
        assert stage.sweep().doorbells == ()

    def test_who_posts_is_told_when_more_could_be_posted(self, stage: Stage) -> None:
        stage.outbox.add_endpoint(endpoint("kb", concurrency=2), replace=True)
        for n in range(3):
            stage.committed(str(n))
        assert [stage.consignment().has_more for _ in range(2)] == [True, False], "the third must wait"
        assert stage.outbox.claim_deliveries("d") is None

    def test_oldest_first(self, stage: Stage) -> None:
        jobs = []
        for n in range(4):
            jobs.append(stage.committed(str(n)).job_id)
            stage.wait(0.005)
        assert [stage.consignment().claims[0].job_id for _ in range(4)] == jobs

    def test_endpoints_take_turns(self, stage: Stage) -> None:
        for n in range(4):
            stage.committed(f"a{n}", endpoints=("audit",))
        stage.wait(0.01)
        stage.committed("k", endpoints=("kb",))
        assert "kb" in [stage.consignment().endpoint.name for _ in range(2)]

    def test_a_batch_is_posted_and_settled_as_one(self, stage: Stage) -> None:
        stage.outbox.add_endpoint(endpoint("kb", batch=3), replace=True)
        for n in range(4):
            stage.committed(str(n))
        given = stage.consignment()
        assert (len(given.claims), given.has_more) == (3, True)
        assert stage.outbox.settle_deliveries(given, REFUSED, delays_s=[HALF_S, None, HALF_S]) == ()
        assert [each.id for each in stage.outbox.failed_deliveries()] == [given.claims[1].id]
        stage.settle(stage.consignment(), TAKEN)
        stage.wait(HALF_S)
        stage.sweep()
        assert len(stage.consignment().claims) == 2

    def test_filters_decide_when_the_job_ends(self, stage: Stage) -> None:
        stage.outbox.add_endpoint(endpoint("kb", events=("extraction.failed",)), replace=True)
        stage.outbox.add_endpoint(endpoint("audit", schemas=("news/entities",)), replace=True)
        other, done = (stage.claimed(key=key, endpoints=("kb", "audit")) for key in "ab")
        assert stage.worker.commit(done, extraction(done)) == 1
        assert stage.consignment().endpoint.name == "audit"
        assert stage.worker.fail(other, "x", verdict="dead").rings == 2
        assert {stage.consignment().endpoint.name for _ in range(2)} == {"kb", "audit"}
        stage.outbox.add_endpoint(endpoint("audit", schemas=("news/entities@2", "news")), replace=True)
        third = stage.claimed(key="c", endpoints=("audit",))
        assert stage.worker.commit(third, extraction(third)) == 0

    def test_a_rate_holds_over_a_few_seconds(self, stage: Stage) -> None:
        stage.outbox.add_endpoint(endpoint("kb", rate_per_s=1.0, concurrency=50), replace=True)
        for n in range(12):
            stage.committed(str(n))
        assert len(stage.sweep().doorbells) == 4, "what four seconds allow"
        for _ in range(4):
            stage.settle(stage.consignment(), TAKEN)
        assert stage.outbox.claim_deliveries("d") is None
        stage.wait(1.05)
        stage.consignment()
        assert stage.outbox.claim_deliveries("d") is None

    def test_an_endpoint_that_fails_again_and_again_is_left_alone_and_then_tried_once(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, breaker_failures=3, breaker_s=HALF_S))
        for n in range(6):
            stage.committed(str(n))
        for _ in range(3):
            stage.settle(stage.consignment(), REFUSED, delay_s=60)
        assert stage.outbox.claim_deliveries("d") is None
        assert stage.sweep().doorbells == ()
        other = stage.committed("other", endpoints=("audit",))
        assert stage.consignment().claims[0].job_id == other.job_id, "nobody else waits for it"
        stage.wait(HALF_S)
        assert stage.sweep().doorbells == (DELIVERY_BELL,), "one shows whether it is over"
        probe = stage.consignment()
        assert stage.outbox.claim_deliveries("d") is None
        stage.settle(probe, REFUSED, delay_s=60)
        stage.wait(HALF_S)
        assert stage.outbox.claim_deliveries("d") is None, "the second time it is left alone for twice as long"
        stage.wait(HALF_S)
        stage.settle(stage.consignment(), TAKEN)
        status = stage.outbox.endpoint("kb")
        assert (status.failures, status.open_until, status.waiting) == (0, None, 5)
        assert stage.consignment().endpoint.name == "kb"

    def test_who_asks_to_be_left_alone_is(self, stage: Stage) -> None:
        for n in range(2):
            stage.committed(str(n))
        stage.settle(stage.consignment(), Receipt("refused", "429", wait_s=HALF_S), delay_s=0.0)
        assert stage.outbox.claim_deliveries("d") is None
        stage.wait(HALF_S)
        stage.sweep()
        assert stage.consignment().endpoint.name == "kb"

    def test_an_endpoint_that_wants_no_more_is_disabled_and_ops_are_told(self, stage: Stage) -> None:
        stage.outbox.add_endpoint(endpoint("ops", events=("endpoint.disabled",)))
        for n in range(3):
            stage.committed(str(n))
        stage.settle(stage.consignment(), GONE)
        assert stage.outbox.endpoint("kb").state == "disabled"
        told = self.next_for(stage, "ops")
        notice = read(told.claims[0].body)
        assert isinstance(notice, Notice)
        assert (notice.type, notice.endpoint, notice.reason) == ("endpoint.disabled", "kb", "410")
        stage.sweep()
        late = stage.claimed(key="late", endpoints=("kb",))
        assert stage.worker.commit(late, extraction(late)) == 0
        failed = stage.outbox.failed_deliveries(endpoint="kb")
        assert len(failed) == 4
        assert failed[0].reason == "The endpoint is disabled: 410"
        with pytest.raises(Conflict, match="disabled"):
            stage.outbox.replay_delivery(failed[0].id)

    @staticmethod
    def next_for(stage: Stage, name: str) -> Consignment:
        return next(each for each in iter(stage.consignment, None) if each.endpoint.name == name)

    def test_an_endpoint_that_takes_nothing_for_long_is_disabled(self, stage: Stage) -> None:
        stage.worker.set_limits(replace(QUICK, disable_after_s=OVER_S))
        stage.committed()
        stage.settle(stage.consignment(), REFUSED)
        assert stage.outbox.endpoint("kb").state == "active"
        stage.wait(OVER_S)
        stage.sweep()
        stage.settle(stage.consignment(), REFUSED)
        status = stage.outbox.endpoint("kb")
        assert (status.state, status.reason.endswith("The last answer: 503")) == ("disabled", True)

    def test_what_failed_is_sent_again_once_its_endpoint_is_resumed(self, stage: Stage) -> None:
        stage.committed()
        given = stage.consignment()
        stage.settle(given, GONE)
        stage.outbox.resume_endpoint("kb")
        (failed,) = stage.outbox.failed_deliveries()
        assert (failed.id, failed.state, failed.endpoint) == (given.claims[0].id, "failed", "kb")
        stage.outbox.replay_delivery(failed.id)
        with pytest.raises(NotFound, match="not among the failed"):
            stage.outbox.replay_delivery(failed.id)
        again = stage.consignment()
        assert (again.claims[0].id, again.claims[0].attempt) == (failed.id, 1)
        assert Event.decode(again.claims[0].body).job.state == "succeeded"
        stage.settle(again, TAKEN)
        assert stage.outbox.failed_deliveries() == []

    def test_failed_deliveries_since_a_time(self, stage: Stage) -> None:
        stage.committed("old")
        stage.settle(stage.consignment(), REFUSED, delay_s=None)
        (old,) = stage.outbox.failed_deliveries()
        stage.wait(0.05)
        stage.committed("new")
        stage.settle(stage.consignment(), REFUSED, delay_s=None)
        new, known = stage.outbox.failed_deliveries()
        assert known == old
        assert stage.outbox.failed_deliveries(since=(old.failed_at or 0) + 0.01) == [new]
        assert stage.outbox.failed_deliveries(limit=1) == [new]
        assert stage.outbox.failed_deliveries(endpoint="audit") == []

    def test_given_back_unposted_it_is_as_it_was(self, stage: Stage) -> None:
        stage.committed()
        given = stage.consignment()
        stage.settle(given, Receipt("released"))
        again = stage.consignment()
        assert (again.claims[0].id, again.claims[0].attempt) == (given.claims[0].id, 1)
        assert stage.outbox.endpoint("kb").failures == 0

    def test_registration(self, stage: Stage) -> None:
        stage.outbox.add_endpoint(endpoint("crm"))
        stage.outbox.add_endpoint(endpoint("crm"))
        with pytest.raises(Conflict, match="--replace"):
            stage.outbox.add_endpoint(endpoint("crm", batch=2))
        stage.outbox.add_endpoint(endpoint("crm", batch=2), replace=True)
        assert stage.outbox.endpoint("crm").endpoint.batch == 2
        assert [each.endpoint.name for each in stage.outbox.endpoints()] == ["audit", "crm", "kb"]
        stage.outbox.remove_endpoint("crm")
        for ask in (stage.outbox.endpoint, stage.outbox.pause_endpoint, stage.outbox.resume_endpoint):
            with pytest.raises(NotFound, match="crm"):
                ask("crm")
        with pytest.raises(NotFound, match="crm"):
            stage.outbox.remove_endpoint("crm")

    def test_an_endpoint_is_not_removed_under_what_waits_for_it(self, stage: Stage) -> None:
        stage.committed()
        with pytest.raises(Conflict, match=r"1 webhooks wait.*--force"):
            stage.outbox.remove_endpoint("kb")
        stage.outbox.remove_endpoint("kb", force=True)
        stage.sweep()
        (failed,) = stage.outbox.failed_deliveries()
        assert "No endpoint is registered as kb" in failed.reason
        with pytest.raises(NotFound):
            stage.outbox.replay_delivery(failed.id)
        assert stage.worker.counts().deliveries == 0
