"""Lets a worker serve what the aliases say: fetched and loaded beside the running work, switched to, then dropped."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import structlog

from sluice_schemas.adapter import BASE, EVERYTHING, AdapterRecord, Aliases
from sluice_schemas.document import Document
from sluice_schemas.errors import Misconfigured, SluiceError
from sluice_schemas.extraction import Extraction
from sluice_schemas.schema import ExtractionSchema
from sluice_worker.adapters.registry import AdapterRegistry
from sluice_worker.adapters.shadow import is_shadowed
from sluice_worker.adapters.status import WorkerStatus
from sluice_worker.engine.request import Engine

log = structlog.get_logger()

Fetch = Callable[[AdapterRecord], Path]
Tell = Callable[[WorkerStatus], None]


class Offer(Protocol):
    """Shows a candidate a document that is done."""

    def __call__(self, document: Document, schema: ExtractionSchema, champion: Extraction, candidate: str) -> None: ...


class Follower:
    """A `Chooser` that looks every few seconds what is to serve.

    An adapter that cannot be fetched or loaded changes nothing: what served goes on serving, and `tell` says why.
    """

    def __init__(self, registry: AdapterRegistry, engine: Engine, fetch: Fetch, tell: Tell, *, name: str) -> None:
        self._registry = registry
        self._engine = engine
        self._fetch = fetch
        self._tell = tell
        self._name = name
        self._offer: Offer | None = None
        self._aliases: Mapping[str, Aliases] = {}
        self._serves: dict[str, str] = {}
        self._users: dict[str, int] = {}
        self._faults: dict[str, str] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, *, every_s: float, offer: Offer | None = None) -> None:
        """Looks from now on, every so often, in a thread of its own; `offer` gets what candidates are to be shown."""
        self._offer = offer
        self._thread = threading.Thread(target=self._loop, args=(every_s,), name="follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def chosen(self, schema_ref: str) -> Iterator[str | None]:
        """The champion of the moment, for as long as the block takes."""
        with self._lock:
            digest = self._serves.get(schema_ref) or self._serves.get(EVERYTHING, BASE)
            self._take(digest)
        try:
            yield None if digest == BASE else digest
        finally:
            self._leave(digest)

    @contextmanager
    def held(self, digest: str) -> Iterator[bool]:
        """Keeps an adapter loaded until the block ends; False when it is not loaded."""
        with self._lock:
            is_held = digest in self._users
            if is_held:
                self._take(digest)
        try:
            yield is_held
        finally:
            if is_held:
                self._leave(digest)

    def committed(self, document: Document, schema: ExtractionSchema, extraction: Extraction) -> None:
        """Offers the document to the candidate of its scope, if it is among the share."""
        with self._lock:
            aliases = self._aliases.get(schema.ref) or self._aliases.get(EVERYTHING)
            candidate = aliases.candidate if aliases else None
            is_held = candidate in self._users
        if self._offer and aliases and candidate and is_held and is_shadowed(extraction.job_id, aliases.shadow_share):
            self._offer(document, schema, extraction, candidate)

    def look(self) -> None:
        """Once: what is new is loaded and switched to, what nobody wants any more is dropped."""
        try:
            aliases = self._registry.aliases()
        except SluiceError as exc:
            log.warning("The aliases could not be read.", action="adapter.unread", error=str(exc))
            return
        self._forget_faults(_wanted(aliases))
        for scope, each in aliases.items():  # champions first: there may not be room for all
            if each.champion == BASE or self._load(each.champion):
                self._serve(scope, each.champion)
        for each in aliases.values():
            if each.candidate and each.shadow_share:
                self._load(each.candidate)
        with self._lock:
            self._aliases = aliases
        self._drop(_wanted(aliases))
        self._tell(self.status())

    def status(self) -> WorkerStatus:
        """What it serves and holds, and what it could not load."""
        with self._lock:
            return WorkerStatus(self._name, {**self._serves}, sorted(self._users), {**self._faults})

    def _serve(self, scope: str, digest: str) -> None:
        with self._lock:
            was, self._serves[scope] = self._serves.get(scope), digest
        if was != digest:
            log.info("Another adapter serves.", action="adapter.serves", scope=scope, adapter=digest, was=was or BASE)

    def _load(self, digest: str) -> bool:
        if digest in self._users:
            return True
        try:
            record = self._registry.record(digest)
            if record.model != self._engine.card.name:
                raise Misconfigured(
                    f"Adapter {digest} was trained on {record.model}, this worker serves {self._engine.card.name}. "
                    "Promote one that was trained on it, or roll back."
                )
            name = self._engine.load_adapter(self._fetch(record))
            if name != digest:
                self._engine.drop_adapter(name)
                raise Misconfigured(f"What lies at the place of adapter {digest} is {name}; publish it again.")
        except Exception as exc:  # whatever is wrong with a new adapter, the old one goes on serving
            self._blame(digest, exc)
            return False
        with self._lock:
            self._users[digest] = 0
            self._faults.pop(digest, None)
        log.info("An adapter is loaded.", action="adapter.loaded", adapter=digest)
        return True

    def _blame(self, digest: str, exc: Exception) -> None:
        """Says it once, not every few seconds."""
        sentence = str(exc) if isinstance(exc, SluiceError | OSError) else f"{type(exc).__name__}: {exc}"
        with self._lock:
            is_new = self._faults.get(digest) != sentence
            self._faults[digest] = sentence
        if is_new:
            log.error(
                "An adapter cannot be served; what served before goes on.",
                action="adapter.unfit",
                adapter=digest,
                error=sentence,
            )

    def _forget_faults(self, wanted: set[str]) -> None:
        with self._lock:
            self._faults = {digest: fault for digest, fault in self._faults.items() if digest in wanted}

    def _drop(self, wanted: set[str]) -> None:
        """Drops what neither serves nor is wanted, once nothing runs on it; else at a later look."""
        with self._lock:
            kept = wanted.union(self._serves.values())
            gone = [digest for digest, users in self._users.items() if digest not in kept and not users]
            for digest in gone:
                del self._users[digest]
        for digest in gone:
            self._engine.drop_adapter(digest)
            log.info("An adapter is dropped.", action="adapter.dropped", adapter=digest)

    def _take(self, digest: str) -> None:
        if digest != BASE:
            self._users[digest] += 1

    def _leave(self, digest: str) -> None:
        if digest != BASE:
            with self._lock:
                self._users[digest] -= 1

    def _loop(self, every_s: float) -> None:
        while not self._stopped.wait(every_s):
            try:
                self.look()
            except Exception as exc:  # the next look tries again: without one no promotion ever arrives
                log.warning("Looking after adapters failed.", action="adapter.unlooked", error=type(exc).__name__)


def _wanted(aliases: Mapping[str, Aliases]) -> set[str]:
    champions = {each.champion for each in aliases.values()} - {BASE}
    return champions | {each.candidate for each in aliases.values() if each.candidate and each.shadow_share}
