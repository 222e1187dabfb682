"""The way to the labels' database, taken when the first label comes: who gives none needs none of its packages."""

import threading
from typing import TYPE_CHECKING

from sluice_schemas.errors import Misconfigured

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from sluice_schemas.labels.store import LabelStore

VARIABLE = "SLUICE_LABELS_URL"
LOCAL_LABELS = "sqlite:///sluice-labels.db"
INSTALL = "pip install 'sluice-ke[labels]'"


class Access:
    """The label store of one URL, safe for many threads."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._store: LabelStore | None = None

    def store(self) -> "LabelStore":
        """Connects at the first call. Raises `Misconfigured` without a URL or the extra, and `Unavailable`."""
        if self._url is None:
            raise Misconfigured("This client knows no database of labels. Build it as Sluice(..., labels=URL).")
        try:
            from sluice_schemas.labels.store import LabelStore
            from sluice_schemas.sql import database
        except ImportError as exc:
            raise Misconfigured(f"Labels need {exc.name}, not installed here. Run: {INSTALL}") from exc
        with self._lock:
            if self._store is None:
                self._engine = database.connect(self._url)
                self._store = LabelStore(self._engine)
            return self._store

    def close(self) -> None:
        """Gives the connections back."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = self._store = None
