"""Where a client end may go, and what becomes of it when the chain does not answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from berth.chain.errors import ChainUnreachable
from berth.chain.node_registry import Node
from berth.tunnel.control import BridgeEndpoint, Control
from berth.tunnel.endpoints import EndpointList, announced, named
from berth.tunnel.errors import ProgramUnreachable
from berth.tunnel.settings import BridgeSettings


def node(name: str, *bridges: str) -> Node:
    return Node(name, "0x" + "11" * 20, "key", "host:51820", "", 0, bridges)


class Told(Control):
    """Remembers what the program would have been told."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.lists: list[tuple[BridgeEndpoint, ...]] = []
        self.gone = False

    def endpoints(self, endpoints: Sequence[BridgeEndpoint]) -> None:
        if self.gone:
            raise ProgramUnreachable("gone")
        self.lists.append(tuple(endpoints))


class Chain:
    def __init__(self, *nodes: Node) -> None:
        self.found: tuple[Node, ...] | None = nodes

    def nodes(self) -> tuple[Node, ...]:
        if self.found is None:
            raise ChainUnreachable("no answer")
        return self.found


def test_the_setting_names_endpoints_with_and_without_a_node() -> None:
    settings = BridgeSettings.load(
        "TCP bridge", {"BRIDGE_END": "udp2tcp", "TCP_FORWARD": "a=one.example:51840,[fd00::2]:51840"}
    )
    assert named(settings) == (BridgeEndpoint("one.example:51840", "a"), BridgeEndpoint("[fd00::2]:51840"))


def test_bridges_of_preferred_nodes_come_first_then_by_node() -> None:
    found = announced([node("c", "c:1"), node("b", "b:1", "b:2"), node("a", "a:1")], ["b"])
    assert [one.address for one in found] == ["b:1", "b:2", "a:1", "c:1"]
    assert [one.node for one in found] == ["b", "b", "a", "c"]


def test_what_is_no_address_is_left_out() -> None:
    assert announced([node("a", "", "host", "host:0", "host:99999", "http://x:1", "a b:1", "ok:1")]) == (
        BridgeEndpoint("ok:1", "a"),
    )


def test_the_list_is_told_every_time_and_holds_nothing_twice() -> None:
    control, one = Told(), BridgeEndpoint("a:1", "a")
    listed = EndpointList(control, [one], Chain(node("a", "a:1", "a:2")))
    listed.look()
    listed.push()
    assert control.lists == [(one, BridgeEndpoint("a:2", "a"))] * 2


def test_a_chain_that_is_down_takes_no_endpoint_away() -> None:
    control, chain = Told(), Chain(node("a", "a:1"))
    listed = EndpointList(control, [], chain)
    listed.look()
    chain.found = None
    listed.look()
    assert control.lists[-1] == (BridgeEndpoint("a:1", "a"),)
    with pytest.raises(ChainUnreachable, match="no answer"):
        listed.check()
    chain.found = ()
    listed.look()
    assert control.lists[-1] == ()


def test_a_program_that_is_away_is_told_later() -> None:
    control = Told()
    listed = EndpointList(control, [BridgeEndpoint("a:1")], None)
    control.gone = True
    listed.look()
    control.gone = False
    listed.push()
    assert control.lists == [(BridgeEndpoint("a:1"),)]
