"""The ledger on a real Redis: its contract, and what only a real Redis can do to it."""

import threading
import time
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_contract import LedgerContract
from ledger_stage import HALF_S, OVER_S, QUICK, Stage, extraction, order, schema
from outbox_contract import OutboxContract
from redis import Redis
from redis.exceptions import ConnectionError
from redis_server import RedisServer
from redis_stage import stage_on
from sweep_contract import SweepContract

from sluice_schemas.errors import Full, Lost, Misconfigured, SluiceError, Unavailable
from sluice_schemas.job import Order, Priority
from sluice_schemas.ledger import MemoryLedger, Receipt, connect


@pytest.fixture
def stage(redis: Redis, redis_url: str) -> Stage:
    return stage_on(connect(redis_url))


class TestRedisLedger(LedgerContract, SweepContract, OutboxContract):
    """Every behaviour of the contract; `stage` above is the real thing."""


class TestLostReply:
    """Redis did the work and the answer never came: asking again must find the same work done."""

    @pytest.mark.parametrize("method", ["accept", "claim", "commit", "fail", "release", "claim_deliveries", "settle"])
    def test_second_asking_gets_the_first_answer(self, redis: Redis, redis_url: str, method: str) -> None:
        client = Forgetful.from_url(redis_url)
        assert isinstance(client, Forgetful)
        stage = stage_on(client)
        claim = stage.claimed(endpoints=("kb",))
        client.forget_next = method in ("accept", "commit", "fail", "release")
        match method:
            case "accept":
                job = stage.submit(key="other")
                assert (job.state, stage.worker.counts().queued) == ("queued", 1)
            case "claim":
                job = stage.submit(key="other")
                client.forget_next = True
                again = stage.worker.claim("w")
                assert again is not None
                assert (again.fence, again.attempt) == (1, 1)
            case "commit":
                stage.worker.commit(claim, extraction(claim))
                assert stage.worker.counts().deliveries == 1
            case "fail":
                assert stage.worker.fail(claim, "x", verdict="dead").state == "dead"
                assert stage.worker.counts().deliveries == 1
            case "release":
                stage.worker.release(claim)
                assert stage.producer.job(claim.job_id).attempts == 0
            case "claim_deliveries" | "settle":
                stage.worker.commit(claim, extraction(claim))
                client.forget_next = method == "claim_deliveries"
                given = stage.consignment()
                assert [(post.fence, post.attempt) for post in given.claims] == [(1, 1)]
                client.forget_next = method == "settle"
                assert stage.settle(given, Receipt("delivered")) == ()
                assert stage.outbox.endpoint("kb").delivered == 1
        assert not client.forget_next, "the reply was really lost"


class Forgetful(Redis):
    """Loses one reply, after Redis has done the work."""

    forget_next = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        if self.forget_next and args[0] == "EVALSHA":
            self.forget_next = False
            raise ConnectionError("the reply was lost")
        return answer


def test_refused_commit_writes_nothing(stage: Stage, redis: Redis) -> None:
    zombie = stage.vanish(stage.submit(endpoints=("kb",)).id)
    stage.sweep()
    assert stage.worker.claim("w2") is not None
    before = dump(redis)
    with pytest.raises(Lost):
        stage.worker.commit(zombie, extraction(zombie))
    assert dump(redis) == before


def dump(redis: Redis) -> dict[bytes, bytes | None]:
    # The sweeper's lock goes by itself within a millisecond.
    return {key: redis.dump(key) for key in redis.scan_iter() if key != b"{sluice}:sweeping"}


def test_damaged_documents_end_dead_and_hold_up_nobody(stage: Stage, redis: Redis) -> None:
    long = "Anna works in Kyiv. " * 8000
    damaged = [stage.submit(key=str(n), text=f"{long}{n}").id for n in range(4)]
    sound = stage.submit(key="sound").id
    swapped, cut = redis.get(f"{{sluice}}:doc:{damaged[1]}"), redis.get(f"{{sluice}}:doc:{damaged[2]}")
    assert isinstance(swapped, bytes)
    assert isinstance(cut, bytes)
    assert swapped.startswith(b"zstd\0")
    digest = len(b"zstd\0") + 32
    redis.set(f"{{sluice}}:doc:{damaged[0]}", b"{")
    redis.set(f"{{sluice}}:doc:{damaged[1]}", swapped[:digest] + cut[digest:])
    redis.set(f"{{sluice}}:doc:{damaged[2]}", cut[:-20])
    redis.delete(f"{{sluice}}:doc:{damaged[3]}")
    claim = stage.worker.claim("w")
    assert claim is not None
    assert claim.job_id == sound
    jobs = [stage.producer.job(each) for each in damaged]
    assert [job.state for job in jobs] == ["dead"] * 4
    reasons = ("not JSON", "digest differs", "cannot be decompressed", "not JSON")
    assert all(word in (job.reason or "") for word, job in zip(reasons, jobs, strict=True))


def test_a_damaged_row_is_buried_and_holds_up_nobody(stage: Stage, redis: Redis) -> None:
    damaged = [stage.submit(key=str(n), timeout_s=60).id for n in range(2)]
    sound = stage.submit(key="sound").id
    for job_id in damaged:
        redis.hset(f"{{sluice}}:job:{job_id}", "endpoints", b"\xff")
    redis.zadd("{sluice}:deadlines", {damaged[1]: 1.0})
    stage.sweep()
    claim = stage.worker.claim("w")
    assert claim is not None
    assert claim.job_id == sound
    assert [redis.hget(f"{{sluice}}:job:{job_id}", "state") for job_id in damaged] == [b"dead"] * 2


def test_a_damaged_delivery_is_given_up(stage: Stage, redis: Redis) -> None:
    for key in "ab":
        stage.committed(key)
    line: Any = redis.zrange("{sluice}:line:delivery:kb", 0, -1)
    damaged, sound = (each.decode() for each in line)
    redis.hdel(f"{{sluice}}:delivery:{damaged}", "body")
    given = stage.consignment()
    assert [post.id for post in given.claims] == [sound]
    assert redis.hget(f"{{sluice}}:delivery:{damaged}", "state") == b"failed"
    stage.settle(given, Receipt("delivered"))
    assert stage.worker.counts().deliveries == 0


def test_what_tenants_had_is_forgotten_once_it_makes_no_difference(stage: Stage, redis: Redis) -> None:
    for n in range(50):
        stage.submit(key=str(n), tenant=f"t{n}")
    stage.submit(key="more", tenant="t0")
    assert redis.hlen("{sluice}:served:interactive") == 50
    while claim := stage.worker.claim("w"):
        stage.worker.commit(claim, extraction(claim))
    stage.sweep()
    assert redis.exists("{sluice}:served:interactive") == 0


def test_nothing_is_left_without_a_time_to_live(stage: Stage, redis: Redis) -> None:
    cancelled, expired = stage.submit(key="c"), stage.submit(key="e", timeout_s=HALF_S, endpoints=("kb",))
    done, dead = (stage.claimed(key=key, endpoints=("kb",)) for key in "sd")
    stage.worker.commit(done, extraction(done))
    kept = stage.claimed(key="r", reviewable=True)
    stage.worker.commit(kept, extraction(kept))
    stage.worker.fail(dead, "x", verdict="dead")
    stage.producer.cancel(cancelled.id)
    stage.wait(HALF_S)
    assert stage.sweep().expired == (expired.id,)
    given = [stage.consignment() for _ in range(3)]
    for each in given[1:]:
        stage.settle(each, Receipt("delivered"))
    stage.settle(given[0], Receipt("refused", "422"), delay_s=None)
    # Indexes and counters of a fixed size stand for ever; every key that came with a job must go.
    lasting = {"limits", "ended", "bytes", "dead", "sweeping", "swept_at", "reached", "spent"}
    lasting |= {"endpoints", "endpoint:kb", "failed"}
    ages = {key.decode().removeprefix("{sluice}:"): redis.pttl(key) for key in redis.scan_iter()}
    assert {name for name, ttl_ms in ages.items() if ttl_ms == -1} <= lasting
    assert {"limits", "ended", f"doc:{dead.job_id}"} <= set(ages)
    assert f"doc:{done.job_id}" not in ages, "a document goes when its job ends"
    # They are asked for one after the other.
    assert abs(ages[f"doc:{kept.job_id}"] - ages[f"result:{kept.job_id}"]) < 1000, "or with its result"
    bodies = [redis.hexists(f"{{sluice}}:delivery:{each.claims[0].id}", "body") for each in given]
    assert bodies == [True, False, False], "a delivered body goes, a failed one is kept for a look"
    assert redis.get("{sluice}:bytes") == b"0"
    assert (
        ages[f"result:{done.job_id}"] < ages[f"job:{done.job_id}"] == pytest.approx(7 * 86_400_000 + 3_600_000, abs=5e3)
    )
    assert min(ttl_ms for name, ttl_ms in ages.items() if name.startswith("key:")) > ages[f"result:{done.job_id}"]


def test_replayed_job_lives_until_it_ends(stage: Stage, redis: Redis) -> None:
    claim = stage.claimed()
    stage.worker.fail(claim, "x", verdict="dead")
    stage.worker.replay(claim.job_id)
    briefly = (b"{sluice}:sweeping", b"{sluice}:claimed:")
    assert [key for key in redis.scan_iter() if redis.pttl(key) >= 0 and not key.startswith(briefly)] == []


def test_all_keys_share_one_slot(stage: Stage, redis: Redis) -> None:
    stage.producer.publish(schema())
    stage.claimed(endpoints=("kb",), timeout_s=60)
    assert all(key.startswith(b"{sluice}:") for key in redis.scan_iter())


def test_index_of_the_dead_is_trimmed(stage: Stage, redis: Redis) -> None:
    claim = stage.claimed()
    stage.worker.fail(claim, "x", verdict="dead")
    redis.zadd("{sluice}:dead", {claim.job_id: time.time() - QUICK.retention_s - 3601})
    stage.sweep()
    assert redis.zcard("{sluice}:dead") == 0


def test_redis_down_at_submit_says_that_nothing_was_accepted(own_redis: RedisServer) -> None:
    stage = stage_on(connect(own_redis.url), retry_s=0.5)
    own_redis.kill()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="the document was not accepted"):
        stage.submit()
    assert 0.2 < time.monotonic() - began < 3


def test_redis_that_comes_back_in_time_is_not_noticed(own_redis: RedisServer) -> None:
    stage = stage_on(connect(own_redis.url), retry_s=20)
    own_redis.kill()
    restart = threading.Timer(0.3, own_redis.start)
    restart.start()
    assert stage.submit().state == "queued"
    restart.join()


def test_accepted_jobs_survive_a_kill_of_redis(own_redis: RedisServer) -> None:
    stage = stage_on(connect(own_redis.url))
    jobs = [stage.submit(key=str(n)) for n in range(20)]
    done = stage.worker.claim("w")
    assert done is not None
    stage.worker.commit(done, extraction(done))
    running = stage.worker.claim("w")
    assert running is not None
    own_redis.kill()
    own_redis.start()
    states = [stage.producer.job(job.id).state for job in jobs]
    assert states == ["succeeded", "running", *["queued"] * 18]
    stage.worker.commit(running, extraction(running))
    assert stage.producer.result(running.job_id) == extraction(running)
    stage.wait(OVER_S)
    assert len(stage.sweep().doorbells) == 18, "every doorbell that was lost is rung again"


def test_full_redis_refuses_documents_but_lets_work_end(own_redis: RedisServer) -> None:
    stage = stage_on(connect(own_redis.url))
    _waiting, failing = stage.submit(key="0", endpoints=("kb",)), stage.claimed(key="1")
    with Redis.from_url(own_redis.url) as ops:
        ops.config_set("maxmemory", 1)
        with pytest.raises(Full, match="out of memory") as refused:
            stage.submit(key="2")
        assert refused.value.retry_after_s > 0
        stage.wait(OVER_S)
        assert stage.worker.renew([failing]) == {}
        assert len(stage.sweep().doorbells) == 1
        claim = stage.worker.claim("w")
        assert claim is not None
        stage.worker.commit(claim, extraction(claim))
        stage.settle(stage.consignment(), Receipt("delivered"))
        assert stage.worker.fail(failing, "x", verdict="dead").state == "dead"
        ops.config_set("maxmemory", 0)
    assert stage.submit(key="2").state == "queued"


def test_replica_refuses_documents(own_redis: RedisServer) -> None:
    stage = stage_on(connect(own_redis.url))
    stage.submit()
    with Redis.from_url(own_redis.url) as ops:
        ops.replicaof("127.0.0.1", "1")
        with pytest.raises(Unavailable, match="refuses to write"):
            stage.submit(key="2")


def test_each_thread_of_the_largest_worker_has_a_connection(redis_url: str) -> None:
    pool = connect(redis_url).connection_pool
    held = [pool.get_connection() for _ in range(520)]
    assert len({id(each) for each in held}) == 520
    pool.disconnect()


@pytest.mark.parametrize("url", ["redis+cluster://localhost", "sentinel://localhost", "localhost:6379"])
def test_url_that_cannot_serve_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="must start with redis://"):
        connect(url)


ACTIONS = ("submit", "other", "claim", "commit", "fail", "final", "release", "renew", "cancel", "replay")


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 7)), max_size=40))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_twin_and_redis_agree(redis: Redis, redis_url: str, actions: list[tuple[str, int]]) -> None:
    redis.flushall()
    twin = MemoryLedger()
    patient = replace(QUICK, lease_s=60.0, max_jobs=6)
    stages = [stage_on(connect(redis_url)), Stage(twin, twin, twin.outbox, time.sleep)]
    for stage in stages:
        stage.worker.set_limits(patient)
    stories = [[told(stage, story, action, n) for action, n in actions] for stage in stages for story in [Story()]]
    assert stories[0] == stories[1]
    counts = [replace(stage.worker.counts(), oldest_age_s=0.0) for stage in stages]
    assert counts[0] == counts[1]


def varied(n: int, **changes: Any) -> Order:
    """Of several classes, tenants and lengths, so that the turns differ."""
    # Between equal turns of two tenants the id decides, which grows with the milliseconds.
    time.sleep(0.002)
    text, priority = "Anna works in Kyiv." * (1 + n % 3), get_args(Priority)[n % 3]
    return order(**{"key": str(n), "tenant": f"t{n % 2}", "priority": priority, "text": text, **changes})


class Story:
    """The ids and claims that one ledger gave out, by the number of their job."""

    def __init__(self) -> None:
        self.ids: dict[int, str] = {}
        self.claims: dict[int, Any] = {}


def told(stage: Stage, story: Story, action: str, n: int) -> object:
    """Does one thing and tells what came of it, without ids and times."""
    try:
        return act(stage, story, action, n)
    except SluiceError as exc:
        return type(exc).__name__


def act(stage: Stage, story: Story, action: str, n: int) -> object:
    job_id, claim = story.ids.get(n, "0" * 32), story.claims.get(n)
    answer: object = None
    match action:
        case "submit":
            story.ids[n] = stage.producer.accept(varied(n)).id
        case "other":
            stage.producer.accept(varied(n, text="Other"))
        case "claim":
            if given := stage.worker.claim("w"):
                story.claims[int(given.order.key)] = given
                answer = (given.fence, given.attempt, given.is_suspect, given.order)
        case "cancel":
            stage.producer.cancel(job_id)
        case "replay":
            stage.worker.replay(job_id)
        case _ if claim is None:
            return None
        case "commit":
            answer = stage.worker.commit(claim, extraction(claim).model_copy(update={"job_id": "j"}))
        case "fail" | "final":
            answer = stage.worker.fail(claim, "x", verdict="dead" if action == "final" else "retry").state
        case "release":
            stage.worker.release(claim)
        case "renew":
            answer = [*stage.worker.renew([claim]).values()]
    job = stage.producer.job(story.ids[n]) if n in story.ids else None
    face = job and (job.state, job.attempts, job.reason, job.priority, job.ended_at is None)
    return answer, face
