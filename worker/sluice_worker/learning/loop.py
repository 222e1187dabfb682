"""Puts the learning loop together from the settings."""

from functools import partial

from redis import Redis

from sluice_schemas.catalogue import Catalogue
from sluice_schemas.labels.store import LabelStore
from sluice_schemas.sql import database
from sluice_worker.adapters.redis_registry import RedisAdapterRegistry
from sluice_worker.learning import steps, verdict
from sluice_worker.learning.conductor import Conductor, Work
from sluice_worker.learning.run import StepName
from sluice_worker.learning.run_store import RunStore
from sluice_worker.learning.schedule import Schedule
from sluice_worker.learning.steps import Workshop
from sluice_worker.learning.trigger import Rules, Window
from sluice_worker.ledger import RedisLedger
from sluice_worker.settings import Settings


def make(settings: Settings, redis: Redis, *, name: str) -> tuple[Conductor, Schedule]:
    """What works on runs, and what queues those that are due. Raises `Misconfigured` and `Unavailable`."""
    engine = database.connect(settings.labels_url)
    labels, runs = LabelStore(engine), RunStore(engine)
    shop = Workshop(settings, labels, runs, Catalogue(RedisLedger(redis)), RedisAdapterRegistry(redis))
    works: dict[StepName, Work] = {
        "snapshot": partial(steps.take_snapshot, shop),
        "convert": partial(steps.convert, shop),
        "train": partial(steps.train, shop),
        "evaluate": partial(verdict.evaluate, shop),
        "gate": partial(verdict.judge, shop),
        "promote": partial(verdict.promote, shop),
    }
    conductor = Conductor(runs, works, folder=settings.runs_dir.absolute(), name=name, lease_s=settings.run_lease_s)
    window = Window.parse(settings.retrain_window) if settings.retrain_window else None
    rules = Rules(settings.retrain_labels, settings.retrain_age_s, window)
    return conductor, Schedule(labels, runs, settings.retrain_scopes, rules)
