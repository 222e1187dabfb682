"""Signed links to events that are too large for their webhooks: made by deliverers, honoured by the gateway."""

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from sluice_schemas.event import Event, Link

LIVES_S = 86_400.0
PATH = "/v1/events/"


@dataclass(frozen=True, slots=True)
class Links:
    """`base` is where receivers reach the gateway; `key` signs. Whoever has a link may read until it expires."""

    base: str
    key: bytes
    clock: Callable[[], float] = time.time

    def to(self, event: Event) -> Link:
        """A link to the whole event of its job."""
        expires = int(self.clock() + LIVES_S)
        query = f"expires={expires}&signature={self._signature(event.job.id, expires)}"
        at = datetime.fromtimestamp(expires, UTC).isoformat()
        return Link(url=f"{self.base.rstrip('/')}{PATH}{quote(event.job.id, safe='')}?{query}", expires_at=at)

    def is_valid(self, job_id: str, expires: int, signature: str) -> bool:
        """Whether the link is ours and its time is not over."""
        expected = self._signature(job_id, expires)
        return hmac.compare_digest(expected.encode(), signature.encode()) and self.clock() < expires

    def _signature(self, job_id: str, expires: int) -> str:
        return hmac.new(self.key, f"{job_id}:{expires}".encode(), hashlib.sha256).hexdigest()
