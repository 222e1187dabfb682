"""Says whether a run kept the promise, from what the ledger, the receiver and the engines' notes hold. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos.receiver import Arrival

from sluice_schemas.job import TERMINAL


@dataclass(frozen=True, slots=True)
class Row:
    """A job as the ledger holds it. `fence` is how often it was taken."""

    state: str
    fence: int
    has_result: bool
    document: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is left of a run. `accepted` are the ids that the producer was given, `ended` the ledger's own counts.

    `worked` is how often the engines began on each document; `left_behind` are processes that outlived the run.
    """

    accepted: Sequence[str]
    rows: Mapping[str, Row]
    ended: Mapping[str, int]
    open_jobs: int
    arrivals: Sequence[Arrival]
    worked: Mapping[str, int]
    left_behind: Sequence[str]


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that was not kept, and by what."""

    promise: str
    what: str


PROMISES = (
    "every accepted document ends in one terminal state",
    "each job has one committed result at most",
    "the receiver sees each job's event as new once, and sees it at last",
    "the engine works no more than was claimed",
    "no process is left behind",
)
ENDS, ONE_RESULT, NEW_ONCE, NO_WASTE, NOBODY_LEFT = PROMISES


def judge(seen: Evidence) -> list[Breach]:
    """Every breach, in the order of the promises."""
    return [*_ends(seen), *_results(seen), *_deliveries(seen), *_work(seen), *_processes(seen)]


def _ends(seen: Evidence) -> list[Breach]:
    accepted = set(seen.accepted)
    found = [Breach(ENDS, f"job {each} is not in the ledger") for each in accepted - seen.rows.keys()]
    for job_id, row in seen.rows.items():
        if row.state not in TERMINAL:
            found.append(Breach(ENDS, f"job {job_id} is {row.state}, its document {row.document}"))
    if seen.open_jobs:
        found.append(Breach(ENDS, f"the ledger counts {seen.open_jobs} jobs that have not ended"))
    if (total := sum(seen.ended.values())) != len(seen.rows):
        found.append(Breach(ENDS, f"{len(seen.rows)} jobs ended {total} times"))
    return found


def _results(seen: Evidence) -> list[Breach]:
    succeeded = [row for row in seen.rows.values() if row.state == "succeeded"]
    found = [
        Breach(ONE_RESULT, f"job {job_id} is {row.state} and has {'a' if row.has_result else 'no'} result")
        for job_id, row in seen.rows.items()
        if row.has_result != (row.state == "succeeded")
    ]
    if (commits := seen.ended.get("succeeded", 0)) != len(succeeded):
        found.append(Breach(ONE_RESULT, f"{commits} results were committed for {len(succeeded)} jobs"))
    return found


def _deliveries(seen: Evidence) -> list[Breach]:
    new = Counter(each.job_id for each in seen.arrivals if each.is_new)
    found = [
        Breach(NEW_ONCE, f"the event of job {job_id} was new {count} times")
        for job_id, count in new.items()
        if count > 1
    ]
    # Who cancels knows, and is sent nothing.
    told = {job_id for job_id, row in seen.rows.items() if row.state != "cancelled"}
    found += [Breach(NEW_ONCE, f"the event of job {each} never arrived") for each in told - new.keys()]
    for each in seen.arrivals:
        row = seen.rows.get(each.job_id)
        if not each.is_verified:
            found.append(Breach(NEW_ONCE, f"{each.webhook_id} has a wrong signature"))
        elif row is None or row.state != each.state:
            found.append(Breach(NEW_ONCE, f"{each.webhook_id} says {each.state}, the ledger {row and row.state}"))
    return found


def _work(seen: Evidence) -> list[Breach]:
    claims = {row.document: row.fence for row in seen.rows.values()}
    return [
        Breach(NO_WASTE, f"document {document} was worked on {times} times and claimed {claims.get(document, 0)} times")
        for document, times in seen.worked.items()
        if times > claims.get(document, 0)
    ]


def _processes(seen: Evidence) -> list[Breach]:
    return [Breach(NOBODY_LEFT, each) for each in seen.left_behind]
