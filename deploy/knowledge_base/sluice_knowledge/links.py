"""Events that were too large for their webhook: they are fetched from the one place that is allowed."""

import time
from collections.abc import Mapping

import httpx

from sluice_schemas import event
from sluice_schemas.errors import BadInput, Misconfigured, Unavailable
from sluice_schemas.event import Event
from sluice_schemas.job import Job

VARIABLE = "SLUICE_KNOWLEDGE_LINKS"
MAX_BYTES = 64 << 20
TIMEOUT_S = 10.0
SAME = ("id", "tenant", "document_id", "document_version", "schema_ref", "fence")


class Links:
    """Fetches whole events from below one URL. Without one it fetches nothing."""

    def __init__(self, base: str | None = None, *, timeout_s: float = TIMEOUT_S, max_bytes: int = MAX_BYTES) -> None:
        self._base = None if base is None else _base(base)
        self._timeout_s, self._max_bytes = timeout_s, max_bytes

    def whole(self, thin: Event) -> Event:
        """The event with its extraction. Raises `BadInput`, or `Unavailable` when trying again may help."""
        if thin.link is None:
            return thin
        found = event.read(self._fetched(self._allowed(thin.link.url)))
        if not isinstance(found, Event) or found.extraction is None or not _is_same(found.job, thin.job):
            raise BadInput("What the event's link leads to is not the whole event of that job.")
        return found

    def _allowed(self, text: str) -> httpx.URL:
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL as exc:
            raise BadInput("The event's link is no URL.") from exc
        base = self._base
        if base is None or not _is_below(url, base):
            raise BadInput(
                "This event has a link in place of its content, and the link leads to a place that is not allowed. "
                f"Set {VARIABLE} to the URL with which the links of your Sluice begin."
            )
        return url

    def _fetched(self, url: httpx.URL) -> bytes:
        ends = time.monotonic() + self._timeout_s
        body = bytearray()
        try:
            # trust_env: no proxy of the environment gets to see a signed URL.
            with (
                httpx.Client(timeout=self._timeout_s, follow_redirects=False, trust_env=False) as client,
                client.stream("GET", url) as answer,
            ):
                _check(answer.status_code)
                for piece in answer.iter_bytes(65536):
                    body += piece
                    if len(body) > self._max_bytes:
                        raise BadInput(f"The event behind the link has more than {self._max_bytes} bytes.")
                    if time.monotonic() > ends:
                        raise Unavailable(f"The event behind the link did not come within {self._timeout_s:g} s.")
        except httpx.HTTPError as exc:
            raise Unavailable(f"The event behind the link could not be fetched: {type(exc).__name__}.") from exc
        return bytes(body)


def read_links(environment: Mapping[str, str]) -> Links:
    """Raises `Misconfigured`."""
    return Links(environment.get(VARIABLE) or None)


def _base(text: str) -> httpx.URL:
    try:
        base = httpx.URL(text if text.endswith("/") else f"{text}/")
    except httpx.InvalidURL:
        base = httpx.URL()
    if base.scheme not in ("http", "https") or not base.host or base.query or base.fragment:
        raise Misconfigured(f"{VARIABLE} must be a URL such as https://files.example/events, without ? and #.")
    return base


def _is_below(url: httpx.URL, base: httpx.URL) -> bool:
    same_server = (url.scheme, url.host, url.port, url.userinfo) == (base.scheme, base.host, base.port, base.userinfo)
    # httpx has decoded the path: an escaped dot is a dot here.
    return same_server and url.path.startswith(base.path) and ".." not in url.path.split("/")


def _is_same(one: Job, other: Job) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in SAME)


def _check(status: int) -> None:
    if status == 200:
        return
    if 300 <= status < 500 and status not in (408, 429):
        raise BadInput(f"The link to the whole event answers {status}; it may have expired. Redeliver the event.")
    raise Unavailable(f"The link to the whole event answers {status}.")
