"""The way out: which addresses a webhook may go to, and how long one post may take in all.

A name is resolved once: every address that it has is checked, and one of those that were checked is connected to, so
that a name whose addresses change in between (DNS rebinding) gains nothing.
"""

import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore
import httpx

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052, section 2.1: the last 32 bits are an IPv4 address."""
SLICE_BYTES = 16 * 1024


class Forbidden(httpcore.ConnectError):
    """An address that no webhook may go to; the message is for ops."""


def make_client(*, timeout_s: float, networks: Sequence[Network] = ()) -> httpx.Client:
    """A client that follows no redirect, takes no proxy from the environment, and ends a post after `timeout_s`.

    It connects to public addresses, and to those in `networks`.
    """
    return httpx.Client(
        transport=_Transport(_Backend(networks), timeout_s), timeout=timeout_s, follow_redirects=False, trust_env=False
    )


class _Transport(httpx.HTTPTransport):
    """httpx's own, on a pool whose connections are checked and bounded."""

    def __init__(self, backend: "_Backend", timeout_s: float) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._backend, self._timeout_s = backend, timeout_s
        # httpx has no public way to choose how its pool connects.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=backend,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._backend.begin(self._timeout_s)
        return super().handle_request(request)


class _Backend(httpcore.SyncBackend):
    """Connects where it may. A request is made by one thread, whose time runs from `begin`."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._now = threading.local()

    def begin(self, seconds: float) -> None:
        self._now.ends = time.monotonic() + seconds

    def left_s(self, error: type[Exception]) -> float:
        """Raises `error` when the time is over."""
        left = float(self._now.ends) - time.monotonic()
        if left <= 0:
            raise error("The time for this post is over.")
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception = httpcore.ConnectError(f"{host!r} has no address.")
        for address in self._checked(host, port):
            try:
                stream = super().connect_tcp(
                    address, port, self.left_s(httpcore.ConnectTimeout), local_address, socket_options
                )
            except httpcore.ConnectError as exc:
                failed = exc
            else:
                return _Bounded(stream, self)
        raise failed

    def _checked(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as exc:
            raise httpcore.ConnectError(f"{host!r} cannot be resolved.") from exc
        addresses = [str(address[0]) for *_, address in found]
        for each in addresses:
            if not self._may(ip_address(each)):
                raise Forbidden(
                    f"The endpoint's address {each} is not public. If it is meant, list its network in "
                    "SLUICE_DELIVERY_NETWORKS."
                )
        return addresses

    def _may(self, address: Address) -> bool:
        return any(address in network for network in self._networks) or all(
            each.is_global and not each.is_multicast for each in _meant(address)
        )


class _Bounded(httpcore.NetworkStream):
    """A connection whose every wait ends with its request's time: a receiver cannot stretch it byte by byte."""

    def __init__(self, stream: httpcore.NetworkStream, backend: _Backend) -> None:
        self._stream, self._backend = stream, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), SLICE_BYTES):
            part = buffer[start : start + SLICE_BYTES]
            self._stream.write(part, self._backend.left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left_s = self._backend.left_s(httpcore.ConnectTimeout)
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, left_s), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _meant(address: Address) -> Iterator[Address]:
    """What it leads to: itself, and the address of IPv4 in it; of a mapped one that alone."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped:
        yield address.ipv4_mapped
    else:
        yield address
        if address.sixtofour:
            yield address.sixtofour
        if address in NAT64:
            yield IPv4Address(int(address) & 0xFFFFFFFF)
