"""Looks whether runs are due and queues them. Any number of schedulers may look at once: a scope has one active run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from sluice_schemas.errors import Conflict, SluiceError
from sluice_schemas.labels.store import LabelStore
from sluice_worker.learning.run import Run
from sluice_worker.learning.run_store import RunStore
from sluice_worker.learning.trigger import Rules, due

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is looked after: the scopes, and the rules that hold for each."""

    labels: LabelStore
    runs: RunStore
    scopes: Sequence[str]
    rules: Rules

    def look(self) -> list[Run]:
        """Queues what is due; the runs that it queued. What cannot be looked up now is looked up again."""
        return [run for scope in self.scopes if (run := self._look(scope))]

    def _look(self, scope: str) -> Run | None:
        try:
            last = self.runs.last_snapshot(scope)
            upto = (last.upto_label or 0) if last else 0
            new = self.labels.count_since(upto, scope=scope)
            since = last.created_at if last else self.labels.oldest_at(scope)
            age_s = time.time() - since if since is not None else 0.0
            cause = due(self.rules, new_labels=new, age_s=age_s, moment=datetime.now().astimezone())
            if cause is None:
                return None
            run = self.runs.create(scope, cause=cause)
        except Conflict:
            return None  # one is under way, perhaps by another scheduler's word a moment ago
        except SluiceError as exc:
            log.warning("Whether a run is due could not be told.", action="retrain.unlooked", error=str(exc))
            return None
        log.info("A run is due.", action="retrain.due", run_id=run.id, scope=scope, cause=cause, new_labels=new)
        return run
