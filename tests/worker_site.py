"""A Redis, a folder, and workers as processes of their own: what tests of whole workers stand on."""

from contextlib import AbstractContextManager
from pathlib import Path

from sluice_processes import Running, started, until

from sluice_producer import Sluice
from sluice_schemas.job import Job
from sluice_schemas.ledger import connect
from sluice_worker.ledger import RedisLedger

NEWS = "news/entities-en@1"
SENTENCE = "Ada Lovelace was born in London in 1815. "


class Site:
    """A Redis, a folder, and both sides of the ledger."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.client = Sluice(url)
        self.ledger = RedisLedger(connect(url))

    def worker(self, **settings: str) -> AbstractContextManager[Running]:
        return started(
            self.folder, "worker", **{"redis_url": self.url, "threads": "4", "answer_tokens": "32", **settings}
        )

    def submit(self, text: str = SENTENCE) -> str:
        return self.client.submit(text, schema=NEWS).id

    def state(self, job_id: str) -> str:
        return self.job(job_id).state

    def job(self, job_id: str) -> Job:
        return self.client.job(job_id)

    def succeeds(self, *jobs: str) -> None:
        until(lambda: all(self.job(each).has_ended for each in jobs), 90)
        assert [job.reason for job in map(self.job, jobs) if job.state != "succeeded"] == []
