"""The process that extracts: one engine, many task threads."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import structlog

from sluice_schemas.catalogue import Catalogue
from sluice_schemas.errors import EngineDead, EngineStuck, Full
from sluice_schemas.ledger import Limits as LedgerLimits
from sluice_schemas.ledger import connect
from sluice_schemas.queues import CeleryDoorbell
from sluice_worker.engine import load
from sluice_worker.engine.attended import AttendedEngine
from sluice_worker.engine.request import Engine
from sluice_worker.leases import Leases
from sluice_worker.ledger import RedisLedger
from sluice_worker.process import redis_check
from sluice_worker.process.following import Following
from sluice_worker.process.station import Exit, Station
from sluice_worker.pulse import Patience, Pulse
from sluice_worker.settings import Settings
from sluice_worker.sweeper import Sweeper
from sluice_worker.tasks import app as celery_app
from sluice_worker.tasks import canary, extract
from sluice_worker.unbidden import Unbidden
from sluice_worker.work import Work

log = structlog.get_logger()


def name() -> str:
    """What the ledger calls this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def run(settings: Settings, *, ready_file: Path | None = None, build: Callable[[Settings], Engine] = load.load) -> Exit:
    """Serves until it is told to stop, with the engine that `build` makes.

    `ready_file` is written once documents are taken, and touched as long as they would be heard.
    """
    redis = connect(settings.redis_url)
    redis_check.demand(redis)
    engine = AttendedEngine(build(settings))
    log.info("The model is loaded.", action="engine.ready", model=engine.card.name, context=engine.card.context_tokens)
    ledger = RedisLedger(redis)
    _set_limits(ledger, settings)
    doorbell = CeleryDoorbell(settings.redis_url)
    # On a connection of its own: the heartbeat waits for nobody.
    leases = Leases(RedisLedger(connect(settings.redis_url)), every_s=settings.lease_s / 4)
    limits = load.limits(settings, engine.card)
    following = Following(settings, redis, engine, limits, name=name())
    work = Work(ledger, Catalogue(ledger), engine, leases, doorbell, limits, name(), chooser=following.chooser)
    pulse = Pulse(
        doorbell,
        redis,
        name=name(),
        threads=settings.threads,
        patience=Patience(settings.deaf_s, settings.stuck_s),
        on_deaf=lambda: station.end(Exit.DEAF),
        engine=engine,
    )
    app = celery_app.make(settings.redis_url, "extract", canary=pulse.queue)
    station = Station(app, threads=settings.threads, grace_s=settings.grace_s, release=lambda: release(work))

    def on_death(dead: EngineDead) -> None:
        log.error(
            "The engine is dead; the process ends so that it can be restarted.", action="engine.dead", error=str(dead)
        )
        station.end(Exit.ENGINE_STUCK if isinstance(dead, EngineStuck) else Exit.ENGINE_DEAD)

    unbidden = Unbidden(lambda: extract.answer(work, pulse, on_death))
    sweeper = Sweeper(ledger, doorbell, every_s=settings.sweep_every_s, on_mute=unbidden.begin)
    extract.register(app, work, pulse, on_death=on_death)
    canary.register(app, pulse)
    following.start()
    helpers = (pulse.stop, leases.stop, sweeper.stop, following.stop, engine.close)
    return station.serve(helpers=helpers, on_ready=lambda: begin(pulse, ready_file))


def begin(pulse: Pulse, ready_file: Path | None) -> None:
    """Writes the file that tells a supervisor that this process serves, and from now on keeps it fresh."""
    mark(ready_file)
    pulse.sign_file = ready_file
    pulse.start()


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


def _set_limits(ledger: RedisLedger, settings: Settings) -> None:
    """A full Redis keeps those that it has: only work can empty it."""
    try:
        ledger.set_limits(_ledger_limits(settings))
    except Full:
        log.warning("Redis is full and keeps the limits that it has.", action="limits.kept")


def _ledger_limits(settings: Settings) -> LedgerLimits:
    return LedgerLimits(
        max_jobs=settings.backlog_jobs,
        max_bytes=settings.backlog_bytes,
        max_deliveries=settings.backlog_deliveries,
        weight_interactive=settings.interactive_weight,
        weight_bulk=settings.bulk_weight,
        weight_replay=settings.replay_weight,
        max_tries=settings.max_attempts,
        lease_s=settings.lease_s,
        retention_s=settings.result_ttl_s,
        breaker_s=settings.delivery_breaker_s,
        disable_after_s=settings.delivery_disable_s,
        sweep_s=settings.sweep_every_s / 2,
    )
