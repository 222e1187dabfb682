"""The parts of an extraction worker that let it serve the adapters that the aliases name."""

from pathlib import Path

import structlog
from redis import Redis
from redis.exceptions import RedisError

from sluice_schemas.adapter import AdapterRecord
from sluice_schemas.document import Document
from sluice_schemas.extraction import Extraction
from sluice_schemas.schema import ExtractionSchema
from sluice_worker.adapters import artefacts, status
from sluice_worker.adapters.follower import Follower
from sluice_worker.adapters.redis_registry import RedisAdapterRegistry
from sluice_worker.adapters.shadow import Shadow
from sluice_worker.engine.request import Engine
from sluice_worker.plan import Limits
from sluice_worker.settings import Settings
from sluice_worker.work import extract

log = structlog.get_logger()


class Following:
    """A follower that has looked once, and the candidates' shadow: `start` keeps both going."""

    def __init__(self, settings: Settings, redis: Redis, engine: Engine, limits: Limits, *, name: str) -> None:
        def fetch(record: AdapterRecord) -> Path:
            return artefacts.fetch(
                record.uri,
                record.digest,
                settings.adapters_cache,
                max_rank=settings.adapter_rank,
                endpoint_url=settings.s3_endpoint_url,
            )

        def tell(told: status.WorkerStatus) -> None:
            try:
                status.write(redis, told)
            except RedisError as exc:
                log.warning("What this worker serves was not told.", action="adapter.untold", error=type(exc).__name__)

        def try_on(document: Document, schema: ExtractionSchema, adapter: str) -> Extraction:
            return extract(document, schema, engine=engine, limits=limits, adapter=adapter)

        self._every_s = settings.follow_every_s
        self.chooser = Follower(RedisAdapterRegistry(redis), engine, fetch, tell, name=name)
        self._shadow = Shadow(redis, try_on, self.chooser.held)
        self.chooser.look()

    def start(self) -> None:
        self.chooser.start(every_s=self._every_s, offer=self._shadow.offer)

    def stop(self) -> None:
        """Call it before the engine is closed."""
        self.chooser.stop()
        self._shadow.stop()
