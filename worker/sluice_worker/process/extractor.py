"""The process that extracts: one engine, many task threads."""

import os
import socket
from pathlib import Path

import structlog

from sluice_schemas.errors import EngineDead
from sluice_schemas.ledger import Limits as LedgerLimits
from sluice_schemas.ledger import connect
from sluice_schemas.queues import CeleryDoorbell
from sluice_worker.catalogue import Catalogue
from sluice_worker.engine import load
from sluice_worker.leases import Leases
from sluice_worker.ledger import RedisLedger
from sluice_worker.process import redis_check
from sluice_worker.process.station import Exit, Station
from sluice_worker.settings import Settings
from sluice_worker.sweeper import Sweeper
from sluice_worker.tasks import app as celery_app
from sluice_worker.tasks import extract
from sluice_worker.work import Work

log = structlog.get_logger()


def name() -> str:
    """What the ledger calls this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def run(settings: Settings, *, ready_file: Path | None = None) -> Exit:
    """Serves until it is told to stop. `ready_file` is written once documents are taken."""
    redis = connect(settings.redis_url)
    redis_check.demand(redis)
    engine = load.load(settings)
    log.info("The model is loaded.", action="engine.ready", model=engine.card.name, context=engine.card.context_tokens)
    ledger = RedisLedger(redis)
    ledger.set_limits(_ledger_limits(settings))
    doorbell = CeleryDoorbell(settings.redis_url)
    leases = Leases(ledger, every_s=settings.lease_s / 4)
    sweeper = Sweeper(ledger, doorbell, every_s=settings.sweep_every_s)
    work = Work(ledger, Catalogue(ledger), engine, leases, doorbell, load.limits(settings, engine), name())
    app = celery_app.make(settings.redis_url, "extract")
    station = Station(app, threads=settings.threads, grace_s=settings.grace_s, release=lambda: release(work))

    def on_death(dead: EngineDead) -> None:
        log.error(
            "The engine is dead; the process ends so that it can be restarted.", action="engine.dead", error=str(dead)
        )
        station.end(Exit.ENGINE_DEAD)

    extract.register(app, work, on_death=on_death)
    return station.serve(helpers=(leases.stop, sweeper.stop, engine.close), on_ready=lambda: mark(ready_file))


def mark(ready_file: Path | None) -> None:
    """Writes the file that tells a supervisor that this process serves."""
    if ready_file is not None:
        ready_file.parent.mkdir(parents=True, exist_ok=True)
        ready_file.write_text(f"{os.getpid()}\n")


def release(work: Work) -> None:
    """Gives back every claim that is still held, so that nothing waits for a lease to run out."""
    work.over.set()
    for claim in work.leases.claims():
        if not work.give_back(claim):
            # Redis is gone: asking for each claim would outlast the supervisor's patience.
            return


def _ledger_limits(settings: Settings) -> LedgerLimits:
    return LedgerLimits(
        max_jobs=settings.backlog_jobs,
        max_bytes=settings.backlog_bytes,
        max_tries=settings.max_attempts,
        lease_s=settings.lease_s,
        retention_s=settings.result_ttl_s,
        sweep_s=settings.sweep_every_s / 2,
    )
