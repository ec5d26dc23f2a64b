"""A node's offer and its gateway's side of it, over real sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from berth.access.tunnel import Subnets
from berth.vpn.errors import NodeError
from berth.vpn.gateway.errors import NodeGone
from berth.vpn.gateway.node import Node
from berth.vpn.gateway.wire import Hello, owner_word, owners_line, parse_owners
from berth.vpn.offer import Offer
from berth.vpn.owners import Owner, Owners

alice, bob = "0x" + "aB" * 20, "0x" + "01" * 20
subnets = Subnets(IPv4Network("10.77.0.0/16"), IPv6Network("fd77::/64"))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def well(offer: Offer) -> bool:
    try:
        offer.check()
    except NodeError:
        return False
    return True


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def owners() -> Owners:
    made = Owners()
    made.reset({"10.77.0.2": Owner(7, alice), "10.77.0.3": Owner(2**200, alice)})
    return made


@pytest.fixture
def offer(tmp_path: Path, port: int, owners: Owners) -> Iterator[Offer]:
    made = Offer("node-1", tmp_path / "node.sock", ("127.0.0.1",), port, subnets, owners)
    made.start()
    yield made
    made.stop()


def test_a_gateway_gets_the_sockets_and_all_owners_and_then_changes(
    offer: Offer, owners: Owners, port: int, tmp_path: Path
) -> None:
    assert not well(offer)
    with Node(tmp_path / "node.sock") as node:
        assert node.hello == Hello("node-1", ("127.0.0.1",))
        seven, long = f"7-{alice.lower()}", f"{2**200}-{alice.lower()}"
        two, three = {"10.77.0.2": seven, "fd77::2": seven}, {"10.77.0.3": long, "fd77::3": long}
        assert node.all() == {**two, **three}
        assert not well(offer), "it has the sockets, and nobody answers there yet"
        node.ready()
        until(lambda: well(offer))
        # The socket listens when the gateway lets it, and not before.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
        listener = socket.socket(fileno=socket.dup(node.listeners[0]))
        listener.listen()
        with listener, socket.create_connection(("127.0.0.1", port), 1):
            listener.accept()[0].close()
        assert node.changed(0.01) == {}
        owners.change({"10.77.0.2": None, "10.77.0.4": Owner(9, bob)})
        nine = f"9-{bob}"
        assert node.changed(5) == {"10.77.0.2": None, "fd77::2": None, "10.77.0.4": nine, "fd77::4": nine}
        # The same pass at the same address, of somebody else.
        owners.change({"10.77.0.4": Owner(9, alice)})
        assert node.changed(5) == dict.fromkeys(("10.77.0.4", "fd77::4"), f"9-{alice.lower()}")
    until(lambda: not well(offer))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_the_next_gateway_is_served_as_the_first(offer: Offer, owners: Owners, tmp_path: Path) -> None:
    for _ in range(2):
        with Node(tmp_path / "node.sock") as node:
            assert len(node.all()) == 4


def test_a_node_that_ends_is_gone(offer: Offer, tmp_path: Path) -> None:
    with Node(tmp_path / "node.sock") as node:
        node.all()
        offer.stop()
        with pytest.raises(NodeGone, match="ended the connection"):
            node.changed(5)
    with pytest.raises(NodeGone, match="does not answer"), Node(tmp_path / "node.sock"):
        pass


def test_where_the_port_is_taken_the_gateway_is_told_to_come_again(
    offer: Offer, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(NodeGone, match="its port is taken"), Node(tmp_path / "node.sock"):
            pass
    with Node(tmp_path / "node.sock") as node:
        assert node.all()


def test_where_the_tunnel_has_no_ipv6_nothing_is_said_of_it(tmp_path: Path, port: int, owners: Owners) -> None:
    plain = Offer("n", tmp_path / "n.sock", ("127.0.0.1",), port, Subnets(subnets.ipv4), owners)
    plain.start()
    with Node(tmp_path / "n.sock") as node:
        assert node.all().keys() == {"10.77.0.2", "10.77.0.3"}
    plain.stop()


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"nonsense\n",
        b'{"10.77.0.2": 7}\n',
        b'{"10.77.0.2": "7"}\n',
        b'{"10.77.0.2": "7-0x01; shutdown"}\n',
        b'{"10.77.0.2": "7-0x0101010101010101010101010101010101010101; shutdown"}\n',
        b'{"10.77.0.2": ""}\n',
        '{"10.77.0.2": "٧-0x0101010101010101010101010101010101010101"}\n'.encode(),
        b'{"10.77.0.2; disable": "7-0x0101010101010101010101010101010101010101"}\n',
    ],
)
def test_what_would_become_part_of_a_command_is_looked_at(line: bytes) -> None:
    with pytest.raises(NodeGone):
        parse_owners(line)


def test_another_version_says_what_to_do() -> None:
    with pytest.raises(NodeGone, match="update the older"):
        Hello.parse(b'{"version": 1}\n')


def test_owners_go_as_they_came() -> None:
    owned = {"10.77.0.2": owner_word(2**255, alice), "fd77::2": None}
    assert parse_owners(owners_line(owned)) == owned
