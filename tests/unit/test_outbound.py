"""Where webhooks may go: public addresses, and networks that ops listed; what was checked is what is connected to."""

import socket
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from sluice_worker.delivery.outbound import Forbidden, make_client


class Names:
    """A resolver of its own, and sockets that remember where they were sent and go nowhere."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.connected: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self.resolve)
        monkeypatch.setattr(socket, "create_connection", self.connect)

    def resolve(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked += 1
        addresses = self._answers[min(self.asked, len(self._answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def connect(self, address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        self.connected.append(address[0])
        raise ConnectionRefusedError


def post(networks: Sequence[str] = ()) -> BaseException | None:
    """What stopped it."""
    with (
        make_client(timeout_s=5, networks=[ip_network(each) for each in networks]) as client,
        pytest.raises(httpx.ConnectError) as raised,
    ):
        client.post("https://hooks.example/x", content=b"{}")
    return raised.value.__cause__


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",  # the metadata of a cloud's machines
        "100.64.0.1",  # behind a carrier
        "0.0.0.0",
        "224.0.0.1",  # multicast
        "::1",
        "fd00::1",
        "fe80::1%eth0",  # with a zone
        "::ffff:127.0.0.1",  # IPv4 in IPv6
        "64:ff9b::a00:1",  # through NAT64
        "2002:a00:1::",  # through 6to4
    ],
)
def test_what_is_not_public_is_refused_before_anything_connects(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, [address])
    stopped = post()
    assert isinstance(stopped, Forbidden)
    assert "SLUICE_DELIVERY_NETWORKS" in str(stopped)
    assert names.connected == []


def test_one_inner_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, ["93.184.215.14", "10.0.0.1"])
    assert isinstance(post(), Forbidden)
    assert names.connected == []


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("93.184.215.14", []),
        ("2606:2800:220:1::1", []),
        ("::ffff:93.184.215.14", []),  # a public one in IPv6's clothes
        ("10.1.2.3", ["192.168.0.0/16", "10.1.0.0/16"]),
        ("fd00::1", ["fd00::/8"]),
    ],
)
def test_public_and_listed_addresses_are_connected_to(
    address: str, networks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch, [address])
    assert not isinstance(post(networks), Forbidden)
    assert names.connected == [address]


def test_name_is_resolved_once_and_the_checked_address_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    post()
    assert (names.asked, names.connected) == (1, ["93.184.215.14"])


def test_all_addresses_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, ["93.184.215.14", "93.184.215.15"])
    post()
    assert names.connected == ["93.184.215.14", "93.184.215.15"]
