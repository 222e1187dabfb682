"""A document's way through the queue step by step, in one thread, with an engine that answers at once.

`python -m bench.queue_steps REDIS_URL COUNT` writes JSON.
"""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from bench.queue_documents import ANSWER, SCHEMA, same
from bench.queue_stage import seconds
from bench.queue_workers import scripted_work
from redis import Redis

from sluice_producer import Sluice
from sluice_producer.ledger import RedisLedger
from sluice_producer.orders import order_of
from sluice_schemas.job import Job
from sluice_schemas.ledger import Claim, connect
from sluice_schemas.queues import JOB_BELL, CeleryDoorbell
from sluice_worker.engine.request import Completion, Request
from sluice_worker.harvest import Answer, merge
from sluice_worker.plan import Question, plan
from sluice_worker.process.logs import configure
from sluice_worker.settings import Settings
from sluice_worker.work import Work

T = TypeVar("T")
R = TypeVar("R")
SCRIPT_CALLS = "cmdstat_evalsha"
WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Step:
    """`name` of its figure, in us a document, and what it is."""

    name: str
    sentence: str


STEPS = (
    Step("order_us", "submit: order made and checked"),
    Step("accept_us", "submit: accepted by the ledger"),
    Step("accept_script_us", "  of it Redis's script"),
    Step("ring_us", "submit: doorbell rung"),
    Step("claim_us", "worker: claimed"),
    Step("claim_script_us", "  of it Redis's script"),
    Step("plan_us", "worker: planned"),
    Step("engine_us", "worker: through the engine"),
    Step("merge_us", "worker: merged and grounded"),
    Step("commit_us", "worker: committed"),
    Step("commit_script_us", "  of it Redis's script"),
    Step("whole_us", "worker: the five together, as it runs them"),
)


class Steps:
    """Takes times of one step for many documents at once."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.figures: dict[str, float] = {}

    def take(self, name: str, each: Callable[[T], R], given: Sequence[T]) -> list[R]:
        """What `each` makes of all; the mean in us goes into the figures, with that of Redis's scripts within."""
        made: list[R] = []
        self._redis.config_resetstat()
        self.figures[f"{name}_us"] = seconds(lambda: made.extend(map(each, given))) / len(given) * 1e6
        scripts: Any = self._redis.info("commandstats").get(SCRIPT_CALLS)
        if scripts:
            self.figures[f"{name}_script_us"] = scripts["usec"] / len(given)
        return made


def steps(url: str, count: int) -> dict[str, float]:
    """Means over `count` documents, in us."""
    work, stops = scripted_work(ANSWER, Settings(redis_url=url))
    taken = Steps(Redis.from_url(url))
    try:
        _through(work, _submitted(taken, url, count), taken)
        with Sluice(url) as client:
            whole = [client.submit(each, schema=SCHEMA) for each in same(count, mark="whole")]
        taken.take("whole", lambda job: work.run(), whole)
    finally:
        for stop in stops:
            stop()
        Redis.from_url(url).flushdb()
    return {each.name: taken.figures[each.name] for each in STEPS}


def _submitted(taken: Steps, url: str, count: int) -> list[Job]:
    doorbell = CeleryDoorbell(url)
    orders = taken.take("order", lambda each: order_of(each, SCHEMA, {}), [*same(count, mark="step")])
    jobs = taken.take("accept", RedisLedger(connect(url)).accept, orders)
    taken.take("ring", lambda job: doorbell.ring(*JOB_BELL), jobs)
    doorbell.close()
    return jobs


def _through(work: Work, jobs: Sequence[Job], taken: Steps) -> None:
    def planned(claim: Claim) -> list[Question]:
        schema = work.catalogue.find(claim.order.schema_ref)
        card, count_tokens = work.engine.card, work.engine.count_tokens
        return plan(claim.order.document, schema, card=card, count_tokens=count_tokens, limits=work.limits)

    def asked(questions: Sequence[Question]) -> list[Future[Completion]]:
        limit = work.limits.answer_tokens
        return work.engine.submit_all([Request(q.prompt, limit, q.grammar, q.is_distinct) for q in questions])

    def merged(given: tuple[Claim, Sequence[Question], Sequence[Future[Completion]]]) -> Any:
        claim, questions, futures = given
        answers = [Answer(question, future.result()) for question, future in zip(questions, futures, strict=True)]
        schema = work.catalogue.find(claim.order.schema_ref)
        found = merge(claim.order.document, schema, answers, card=work.engine.card)
        return claim, found.model_copy(update={"job_id": claim.job_id})

    work.catalogue.find(SCHEMA)
    claims = [claim for claim in taken.take("claim", lambda job: work.ledger.claim("steps"), jobs) if claim]
    questions = taken.take("plan", planned, claims)
    futures = taken.take("engine", asked, questions)
    extractions = taken.take("merge", merged, [*zip(claims, questions, futures, strict=True)])
    taken.take("commit", lambda pair: work.ledger.commit(*pair), extractions)


if __name__ == "__main__":
    configure("INFO")
    steps(sys.argv[1], WARM_UP)
    sys.stdout.buffer.write(orjson.dumps(steps(sys.argv[1], int(sys.argv[2]))))
