"""What holds for every answer: who may ask under which name, and what browsers may do with it."""

from collections.abc import Collection, Mapping

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
WILDCARDS = ("0.0.0.0", "::", "")
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class TooLarge(Exception):
    """A body has more bytes than are read."""


class Guard:
    """Refuses requests under a name that is not this server's: a page elsewhere may have its own name point here.

    `hosts` None lets every name in.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                # Browsers ask whether the page has changed: after an upgrade none goes on with half of the old one.
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        if self._hosts is not None and _name(Headers(scope=scope).get("host", "")) not in self._hosts:
            await _refuse(send_guarded)
            return
        await self._app(scope, receive, send_guarded)


def hosts(listening_on: str, allowed: Collection[str]) -> set[str] | None:
    """The names under which this server may be asked; None for all, when it listens everywhere and nobody said."""
    if listening_on in WILDCARDS and not allowed:
        return None
    named = {each.lower() for each in (listening_on, *allowed) if each not in WILDCARDS}
    return {*LOOPBACK, *(f"[{each}]" if ":" in each and not each.startswith("[") else each for each in named)}


async def body_of(request: Request, max_bytes: int) -> bytes:
    """Raises `TooLarge` as soon as it is clear."""
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise TooLarge
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise TooLarge
    return bytes(body)


def _name(host: str) -> str:
    """Without its port; that of IPv6 stands behind its bracket."""
    name, colon, port = host.lower().rpartition(":")
    return (
        name if colon and port.isdecimal() and not (name.startswith("[") and not name.endswith("]")) else host.lower()
    )


async def _refuse(send: Send) -> None:
    detail = "This server does not answer under that host name. Start it with --allowed-host to allow one more."
    body = orjson.dumps({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
