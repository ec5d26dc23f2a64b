"""What the manager says to the nodes' gateways when a session or lease ends, over their real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from berth.leases.door import Door
from berth.leases.gateway import GatewayAway
from berth.leases.nodegates import NodeGates
from berth.vpn.gateway.closer import Closer
from berth.vpn.gateway.errors import ProxyFailed

Listen = Callable[[str, Callable[[str], int]], None]


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    """Makes a gateway's end by its name, and what it does with an address."""
    made: list[Closer] = []

    def start(name: str, close: Callable[[str], int]) -> None:
        made.append(Closer(tmp_path / f"{name}.sock", close))
        made[-1].start()

    yield start
    for each in made:
        each.stop()
    assert not list(tmp_path.glob("node-*.sock")), "what has ended leaves no socket"


async def none_revoked() -> dict[str, int]:
    return {}


def test_all_gateways_are_told_the_address_and_say_what_they_ended(tmp_path: Path, listen: Listen) -> None:
    told: list[tuple[str, str]] = []
    for name, number in (("node-1", 2), ("node-2", 1)):
        listen(name, lambda address, name=name, number=number: told.append((name, address)) or number)  # type: ignore[misc]
    assert asyncio.run(NodeGates(tmp_path).close("172.30.12.7")) == 3
    assert sorted(told) == [("node-1", "172.30.12.7"), ("node-2", "172.30.12.7")]


def test_a_session_that_ends_is_said_at_the_nodes_also_where_the_public_gateway_is_none(
    tmp_path: Path, listen: Listen
) -> None:
    told: list[str] = []
    listen("node-1", lambda address: told.append(address) or 1)  # type: ignore[func-returns-value]
    door = Door(None, NodeGates(tmp_path), 60, lambda: 0.0, none_revoked)
    asyncio.run(door.refuse("sid", 10, ["172.30.12.7", "172.30.12.8"]))
    assert told == ["172.30.12.7", "172.30.12.8"]


def test_a_gateway_that_has_ended_has_nothing_open_and_one_that_fails_is_no_success(
    tmp_path: Path, listen: Listen
) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "gone.sock"))
    assert asyncio.run(NodeGates(tmp_path).close("172.30.12.7")) == 0
    assert asyncio.run(NodeGates(None).close("172.30.12.7")) == 0

    def fail(_: str) -> int:
        raise ProxyFailed("its socket does not answer")

    listen("node-1", fail)
    with pytest.raises(GatewayAway, match=r"node-1 .*does not answer"):
        asyncio.run(NodeGates(tmp_path).close("172.30.12.7"))
    # The manager goes on, and says so in its log.
    door = Door(None, NodeGates(tmp_path), 60, lambda: 0.0, none_revoked)
    asyncio.run(door.refuse("sid", 10, ["172.30.12.7"]))


@pytest.mark.parametrize("asked", ["shutdown sessions server lease/any", "", "172.30.12.7; show sess", "::1 x"])
def test_nothing_but_an_address_is_taken(tmp_path: Path, listen: Listen, asked: str) -> None:
    told: list[str] = []
    listen("node-1", lambda address: told.append(address) or 1)  # type: ignore[func-returns-value]
    with pytest.raises(GatewayAway, match="no address"):
        asyncio.run(NodeGates(tmp_path).close(asked))
    assert not told
