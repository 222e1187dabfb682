"""Workers that are measured, as processes of their own: `python -m bench.queue_workers KIND REDIS_URL READY_FILE`.

`null` is Sluice's worker with an engine that finds nothing and says so at once, `full` the same with seven values in
every answer; `bare` hears the same doorbells on the same pool and does nothing; `plain` is what a user would write: a
Celery task around the model.
"""

import sys
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from bench.queue_documents import ANSWER, NOTHING, prompts
from celery import Celery
from celery.signals import worker_process_init, worker_ready

from sluice_schemas.catalogue import Catalogue
from sluice_schemas.ledger import connect
from sluice_schemas.queues import EXTRACT_TASK, CeleryDoorbell
from sluice_worker.engine import load, model_folder
from sluice_worker.engine.device import number_format
from sluice_worker.engine.request import Completion, Request
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.leases import Leases
from sluice_worker.ledger import RedisLedger
from sluice_worker.process import extractor
from sluice_worker.process.logs import configure
from sluice_worker.process.station import Station
from sluice_worker.pulse import Patience, Pulse
from sluice_worker.settings import Settings
from sluice_worker.sweeper import Sweeper
from sluice_worker.tasks import app as celery_app
from sluice_worker.tasks import extract
from sluice_worker.work import Work

PLAIN_TASK = "plain.extract"
PROCESSES = 2


def scripted(answer: str, url: str, ready: Path) -> None:
    """What `sluice worker` runs, around an engine with one answer."""
    settings = Settings(redis_url=url)
    work, stops = scripted_work(answer, settings)
    pulse = Pulse(
        work.doorbell,
        connect(url),
        name="bench",
        threads=settings.threads,
        patience=Patience(settings.deaf_s, settings.stuck_s),
        on_deaf=lambda: None,
    )
    app = celery_app.make(url, "extract", canary=pulse.queue)
    extract.register(app, work, pulse, on_death=lambda dead: None)
    _station(app, settings).serve(helpers=stops, on_ready=lambda: extractor.mark(ready))


class Forgetful(ScriptedEngine):
    """Keeps no prompts, as a hundred thousand of them would look like a leak."""

    def submit(self, request: Request) -> "Future[Completion]":
        future = super().submit(request)
        self.prompts.clear()
        return future


def scripted_work(answer: str, settings: Settings) -> tuple[Work, list[Any]]:
    """The work of a worker whose engine gives this answer at once, and what stops its threads."""
    ledger, doorbell = RedisLedger(connect(settings.redis_url)), CeleryDoorbell(settings.redis_url)
    engine = Forgetful(lambda prompt: answer)
    leases = Leases(ledger, every_s=settings.lease_s / 4)
    sweeper = Sweeper(ledger, doorbell, every_s=settings.sweep_every_s)
    limits = load.limits(settings, engine.card)
    work = Work(ledger, Catalogue(ledger), engine, leases, doorbell, limits, extractor.name())
    return work, [leases.stop, sweeper.stop]


def bare(url: str, ready: Path) -> None:
    """The same Celery worker on kombu's own transport, whose task does nothing."""
    app = celery_app.make(url, "extract", canary="bench")
    app.conf.update(broker_transport="redis")

    @app.task(name=EXTRACT_TASK)  # type: ignore[untyped-decorator]
    def nothing(job_id: str) -> None:
        pass

    _station(app, Settings(redis_url=url)).serve(helpers=(), on_ready=lambda: extractor.mark(ready))


def plain(url: str, ready: Path) -> None:
    """Celery as its documentation begins: prefork, a result backend; each process holds the model on one core."""
    app, held = plain_app(url), dict[str, Any]()
    worker_process_init.connect(lambda **_: held.update(_model()), weak=False)
    worker_ready.connect(lambda **_: extractor.mark(ready), weak=False)

    @app.task(name=PLAIN_TASK)  # type: ignore[untyped-decorator]
    def extract(text: str, ref: str, max_tokens: int) -> int:
        """The number of requests that it took."""
        from bench import quick_start

        asked = prompts(text, ref, is_split=True)
        return quick_start.run(held["model"], held["tokenizer"], [asked], max_tokens=max_tokens).requests

    app.Worker(pool="prefork", concurrency=PROCESSES, loglevel="WARNING").start()


def plain_app(url: str) -> Celery:
    """For both ends of the plain task."""
    app = Celery("plain", broker=url, backend=url, set_as_current=False)
    # Loading a model takes longer than the four seconds that Celery gives a new process.
    app.conf.update(worker_proc_alive_timeout=120, broker_connection_retry_on_startup=True)
    return app


def _station(app: Celery, settings: Settings) -> Station:
    return Station(app, threads=settings.threads, grace_s=settings.grace_s, release=lambda: None)


def _model() -> dict[str, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    folder = model_folder.resolve("sluice-tiny")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, number_format("cpu")))
    return {"model": model.eval(), "tokenizer": AutoTokenizer.from_pretrained(folder)}


if __name__ == "__main__":
    configure("INFO")
    kind, url, ready = sys.argv[1:]
    kinds: dict[str, Callable[[str, Path], None]] = {
        "null": partial(scripted, NOTHING),
        "full": partial(scripted, ANSWER),
        "bare": bare,
        "plain": plain,
    }
    kinds[kind](url, Path(ready))
