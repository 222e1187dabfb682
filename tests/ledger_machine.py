"""The model of the ledger as a Hypothesis state machine: whatever happens in whatever order, the promise holds.

The model is what the promise says, in a few dictionaries: which jobs were accepted, who holds which, what was
committed, what the receiver has seen. After each step the ledger must agree with it. Subclass `LedgerMachine` with a
stage whose clock stands still between steps.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from unittest import mock

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ledger_promise import Entry, Post
from ledger_stage import Clock, Stage, endpoint, extraction, order

from sluice_schemas.errors import Conflict, Lost, NotFound, SluiceError
from sluice_schemas.event import Event
from sluice_schemas.job import Priority
from sluice_schemas.ledger import Claim, Consignment, Limits, Outcome, Receipt, Verdict, keys
from sluice_schemas.ledger.deliveries import Result
from sluice_schemas.queues import DELIVERY_BELL as DELIVER
from sluice_schemas.queues import JOB_BELL as EXTRACT
from sluice_schemas.queues import Bell

LIMITS = Limits(lease_s=10.0, sweep_s=0.001, max_tries=3, breaker_failures=3, breaker_s=4.0)
BATCHES = {"kb": 2, "audit": 1}
KEYS = st.sampled_from("abcdef")
STEPS_S = st.sampled_from((1.0, 6.0, 11.0))
ROUNDS = 40

Verb = Literal["commit", "fail", "release"]


def must_see(machine: "type[LedgerMachine]", most: settings) -> None:
    """The machine finds that its ledger breaks the promise: by what that says, what it refuses, or what it does not."""
    generate = settings(most, phases=[Phase.generate], derandomize=True, database=None)
    with pytest.raises((AssertionError, Lost, NotFound, pytest.fail.Exception)):
        run_state_machine_as_test(machine, settings=generate)


class LedgerMachine(RuleBasedStateMachine):
    """Producers, doorbells, workers, sweepers, deliverers and a receiver, who may fail between any two steps."""

    claims = Bundle("claims")
    posts = Bundle("posts")

    def __init__(self) -> None:
        super().__init__()
        # The same steps must give the same ids: what waits side by side is given out in their order.
        self.ids = mock.patch.object(keys, "new_job_id", side_effect=(f"{n:032x}" for n in itertools.count(1)))
        self.ids.start()
        self.clock = Clock()
        self.stage = self.a_stage(self.clock)
        self.stage.worker.set_limits(LIMITS)
        for name, batch in BATCHES.items():
            self.stage.outbox.add_endpoint(endpoint(name, batch=batch), replace=True)
        self.stage.sweep()
        self.swept_at = self.now
        self.jobs: dict[str, Entry] = {}
        self.by_key: dict[str, Entry] = {}
        self.bells: Counter[Bell] = Counter()
        self.outbox: dict[str, Post] = {}
        self.given_up: set[str] = set()

    def a_stage(self, clock: Clock) -> Stage:
        """A fresh, empty ledger that has no other clock than this one."""
        raise NotImplementedError

    # Producers.

    @rule(
        key=KEYS,
        text=st.sampled_from(("Anna works in Kyiv.", "Bo. " * 30)),
        priority=st.sampled_from(("interactive", "bulk")),
        tenant=st.sampled_from(("t", "u")),
        timeout_s=st.sampled_from((None, None, 8.0, 60.0)),
        endpoints=st.sampled_from(((), ("kb",), ("kb", "audit"))),
        rings=st.integers(0, 2),
    )
    def accept(
        self,
        key: str,
        text: str,
        priority: Priority,
        tenant: str,
        timeout_s: float | None,
        endpoints: tuple[str, ...],
        rings: int,
    ) -> None:
        """A submit, whose doorbell may be lost or rung twice."""
        wish = order(key, text, priority=priority, tenant=tenant, timeout_s=timeout_s, endpoints=endpoints)
        known = self.by_key.get(tenant + key)
        if known and (known.text, known.endpoints) != (text, endpoints):
            with self.refused(known, Conflict):
                self.stage.producer.accept(wish)
            return
        job = self.stage.producer.accept(wish)
        if known:
            assert job.id == known.id, "a key stands for one job"
        else:
            assert job.id not in self.jobs
            deadline = None if timeout_s is None else self.now + timeout_s
            self.jobs[job.id] = self.by_key[tenant + key] = Entry(job.id, text, endpoints, deadline)
        self.bells[EXTRACT] += rings

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        entry = self.any_job(data)
        state = self.stage.producer.cancel(entry.id).state
        if entry.is_open:
            entry.end("cancelled")
        assert state == entry.place

    # Doorbells.

    @rule(bell=st.sampled_from((EXTRACT, DELIVER)), change=st.sampled_from((-1, 1)))
    def lose_or_double_a_bell(self, bell: Bell, change: int) -> None:
        self.bells[bell] = max(0, self.bells[bell] + change) if self.bells[bell] else 0

    # Workers. One that crashes simply never comes back to its claim; one that lives on may use it much too late.

    @precondition(lambda self: self.bells[EXTRACT])
    @rule(target=claims)
    def claim(self) -> Claim | MultipleResults[Claim]:
        self.bells[EXTRACT] -= 1
        given = self.stage.worker.claim("w")
        for entry in self.jobs.values():
            # The ledger ends what is overdue while it looks for work, as far as it looks.
            if (
                entry.place == "waiting"
                and self.is_overdue(entry)
                and self.stage.producer.job(entry.id).state == "expired"
            ):
                entry.end_by_ledger("expired")
        if given is None:
            assert not any(entry.place == "waiting" for entry in self.jobs.values()), "who waits is given out"
            return multiple()
        entry = self.jobs[given.job_id]
        assert entry.place == "waiting", f"given out while it was {entry.place}"
        assert not self.is_overdue(entry)
        entry.place, entry.lease_ends, entry.attempts = "running", self.now + LIMITS.lease_s, entry.attempts + 1
        assert given.fence > entry.fence, "fences only grow"
        entry.fence = given.fence
        assert (given.attempt, given.is_suspect) == (entry.attempts, entry.is_suspect)
        assert given.order.document.text == entry.text
        return given

    @rule(claim=claims, model=st.sampled_from(("m", "n")))
    def commit(self, claim: Claim, model: str) -> None:
        """Also by a zombie, and also twice."""
        entry, result = self.jobs[claim.job_id], extraction(claim, model)
        if not self.may(entry, claim, "commit"):
            with self.refused(entry, Lost):
                self.stage.worker.commit(claim, result)
            return
        rings = self.stage.worker.commit(claim, result)
        assert rings == (len(entry.endpoints) if entry.is_held(claim) else 0)
        if entry.is_held(claim):
            entry.settled, entry.result = (claim.fence, "commit"), result
            entry.end("succeeded")
            self.bells[DELIVER] += rings

    @rule(claim=claims, verdict=st.sampled_from(("retry", "suspect", "dead")), delay_s=st.sampled_from((0.0, 3.0)))
    def fail(self, claim: Claim, verdict: Verdict, delay_s: float) -> None:
        entry = self.jobs[claim.job_id]
        if not self.may(entry, claim, "fail"):
            with self.refused(entry, Lost):
                self.stage.worker.fail(claim, "x", verdict=verdict, retry_delay_s=delay_s)
            return
        outcome = self.stage.worker.fail(claim, "x", verdict=verdict, retry_delay_s=delay_s)
        if not entry.is_held(claim):
            return
        entry.settled = claim.fence, "fail"
        entry.is_suspect |= verdict == "suspect"
        if verdict == "dead" or entry.attempts >= LIMITS.max_tries:
            entry.end("dead")
        else:
            entry.place, entry.due_at = ("delayed" if delay_s else "waiting"), self.now + delay_s
        assert outcome == (Outcome("dead", len(entry.endpoints)) if entry.place == "dead" else Outcome("queued"))
        self.bells[DELIVER] += outcome.rings

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        entry = self.jobs[claim.job_id]
        if not self.may(entry, claim, "release"):
            with self.refused(entry, Lost):
                self.stage.worker.release(claim)
            return
        self.stage.worker.release(claim)
        if entry.is_held(claim):
            entry.settled, entry.place, entry.attempts = (claim.fence, "release"), "waiting", entry.attempts - 1

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        entry = self.jobs[claim.job_id]
        gone = self.stage.worker.renew([claim])
        if entry.is_held(claim) and not self.is_overdue(entry):
            entry.lease_ends = self.now + LIMITS.lease_s
            assert gone == {}
        elif entry.is_held(claim):
            assert gone == {entry.id: "expired"}
        else:
            assert gone == {entry.id: "lost" if entry.is_open else entry.place}

    # Time, and the sweeper.

    @rule(seconds=STEPS_S)
    def pass_time(self, seconds: float) -> None:
        self.stage.wait(seconds)

    @rule()
    def sweep(self) -> None:
        swept = self.stage.sweep(waiting=self.bells[EXTRACT], waiting_deliveries=self.bells[DELIVER])
        assert sorted(swept.expired + swept.buried) == sorted(self.expected_ends_of_sweep())
        waiting = sum(entry.place == "waiting" for entry in self.jobs.values())
        lost = max(0, waiting - self.bells[EXTRACT])
        assert swept.doorbells.count(EXTRACT) == lost, "as many bells as were lost, no flood"
        self.bells.update(swept.doorbells)

    # Ops.

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), verb=st.sampled_from(("replay", "drop")))
    def replay_or_drop(self, data: st.DataObject, verb: str) -> None:
        entry = self.any_job(data)
        act = self.stage.worker.replay if verb == "replay" else self.stage.worker.drop
        if entry.place != "dead" or entry.id in self.given_up:
            with self.refused(entry, NotFound):
                act(entry.id)
            return
        act(entry.id)
        if verb == "drop":
            self.given_up.add(entry.id)
        else:
            entry.place, entry.attempts, entry.deadline, entry.face = "waiting", 0, None, None

    # Deliverers and their receiver, who remembers each webhook-id.

    @precondition(lambda self: self.bells[DELIVER])
    @rule(target=posts)
    def claim_deliveries(self) -> Consignment | MultipleResults[Consignment]:
        return self.deliver() or multiple()

    @rule(
        post=posts, result=st.sampled_from(("delivered", "refused", "released")), delay_s=st.sampled_from((2.0, None))
    )
    def settle_deliveries(self, post: Consignment, result: Result, delay_s: float | None) -> None:
        lost = self.stage.settle(post, Receipt(result, "x"), delay_s=delay_s)
        for claim in post.claims:
            known = self.outbox[claim.id]
            if known.fence == claim.fence:
                assert claim.id not in lost, "its holder is heard"
                known.fence, known.settled = 0, (claim.fence, result)
                known.is_over = result == "delivered" or (result == "refused" and delay_s is None)
            else:
                assert (claim.id in lost) == (known.settled != (claim.fence, result)), "and nobody else"

    # What holds after every step.

    @invariant()
    def every_job_is_where_the_promise_says(self) -> None:
        for entry in self.jobs.values():
            job = self.stage.producer.job(entry.id)
            assert job.state == ("queued" if entry.place in ("waiting", "delayed") else entry.place)
            assert job.attempts == entry.attempts <= LIMITS.max_tries
            assert job.has_ended == (job.ended_at is not None)
            if not entry.is_open:
                entry.face = entry.face or job
                assert job == entry.face, "an end is an end"
            assert self.stage.producer.result(entry.id) == entry.result, "one committed result, which never changes"

    @invariant()
    def counts_add_up(self) -> None:
        counts = self.stage.worker.counts()
        places = Counter(entry.place for entry in self.jobs.values())
        assert (counts.queued, counts.delayed, counts.running) == tuple(
            places[each] for each in ("waiting", "delayed", "running")
        )
        assert counts.dead == places["dead"] - len(self.given_up)
        assert (counts.backlog_bytes > 0) == any(entry.is_open for entry in self.jobs.values())
        ends = Counter(end for entry in self.jobs.values() for end in entry.ends)
        ends["cancelled"] = places["cancelled"]
        assert dict(counts.ended) == +ends

    # At last all are well again: then everything that was accepted ends, and every end is heard of once.

    def teardown(self) -> None:
        try:
            self.get_well()
        finally:
            self.ids.stop()

    def get_well(self) -> None:
        for _ in range(ROUNDS):
            self.pass_time(LIMITS.lease_s / 2 + 1)
            self.sweep()
            while self.bells[EXTRACT]:
                given = self.claim()
                if isinstance(given, Claim):
                    self.commit(given, "m")
            while self.bells[DELIVER]:
                if (post := self.deliver()) is not None:
                    self.settle_deliveries(post, "delivered", None)
            if not any(entry.is_open for entry in self.jobs.values()) and not self.stage.worker.counts().deliveries:
                break
        assert [entry for entry in self.jobs.values() if entry.is_open] == [], "accepted = terminal"
        assert self.heard() == self.to_hear(), "each end is heard of once by each of its endpoints"
        assert self.stage.worker.counts().deliveries == 0

    def heard(self) -> Counter[tuple[str, str, str]]:
        """What the receiver took as new: (job, endpoint, state) of each webhook-id."""
        jobs = ((post.endpoint, Event.decode(post.body).job) for post in self.outbox.values())
        return Counter((job.id, endpoint, job.state) for endpoint, job in jobs)

    def to_hear(self) -> Counter[tuple[str, str, str]]:
        jobs = self.jobs.values()
        return Counter((job.id, endpoint, end) for job in jobs for end in job.ends for endpoint in job.endpoints)

    # What the model knows.

    @property
    def now(self) -> float:
        return self.clock.now

    @contextmanager
    def refused(self, entry: Entry, error: type[SluiceError]) -> Iterator[None]:
        before = self.stage.producer.job(entry.id)
        with pytest.raises(error):
            yield
        assert self.stage.producer.job(entry.id) == before, "a refusal changes nothing"

    def any_job(self, data: st.DataObject) -> Entry:
        return self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]

    def is_overdue(self, entry: Entry) -> bool:
        return entry.is_open and entry.deadline is not None and entry.deadline <= self.now

    def may(self, entry: Entry, claim: Claim, verb: Verb) -> bool:
        """Whoever holds the job, and whoever settled it just so: then the first reply was lost, and nothing changes."""
        return entry.is_held(claim) or entry.settled == (claim.fence, verb)

    def deliver(self) -> Consignment | None:
        """Hears a bell; the claim and the post to the receiver are one step. Who is told of more rings."""
        self.bells[DELIVER] -= 1
        given = self.stage.outbox.claim_deliveries("d")
        if given is None:
            return None
        name = given.endpoint.name
        assert 1 <= len(given.claims) <= BATCHES[name]
        self.bells[DELIVER] += given.has_more
        for claim in given.claims:
            post = self.outbox.setdefault(claim.id, Post(claim.body, name))
            assert (post.body, post.endpoint) == (claim.body, name), "a webhook-id stands for one body"
            assert not post.is_over, "what was delivered or given up never comes again"
            assert not post.fence or post.lease_ends <= self.now, "a delivery has one holder"
            assert claim.fence > post.last_fence
            post.fence = post.last_fence = claim.fence
            post.lease_ends = self.now + LIMITS.lease_s
        return given

    def expected_ends_of_sweep(self) -> list[str]:
        """Does to the model what a sweep does; the ids of the jobs that it ended."""
        if self.now - self.swept_at > LIMITS.lease_s:
            for entry in self.jobs.values():
                # Nobody could renew, perhaps: no reason to suspect what ran.
                if self.is_stale(entry) and not self.is_overdue(entry):
                    entry.lease_ends = self.now + LIMITS.lease_s / 2
        self.swept_at = self.now
        ended = []
        for entry in self.jobs.values():
            if self.is_overdue(entry) or (self.is_stale(entry) and entry.attempts >= LIMITS.max_tries):
                entry.end_by_ledger("expired" if self.is_overdue(entry) else "dead")
                ended.append(entry.id)
            elif self.is_stale(entry):
                entry.place, entry.is_suspect = "waiting", True
            elif entry.place == "delayed" and entry.due_at <= self.now:
                entry.place = "waiting"
        return ended

    def is_stale(self, entry: Entry) -> bool:
        return entry.place == "running" and entry.lease_ends <= self.now
