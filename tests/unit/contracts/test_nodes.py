"""NodeRegistry: the operator's allow-list, and what nodes announce."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from web3.contract import Contract

from tests.unit.contracts.evm import ZERO, Evm, events, key


class Node(NamedTuple):
    """As `NodeRegistry.Node`."""

    node_id: str
    account: str
    key: bytes
    endpoint: str
    region: str
    bridges: list[str]
    announced_at: int


@dataclass(frozen=True)
class Nodes:
    evm: Evm
    registry: Contract
    operator: str
    alice: str
    bob: str

    def allow(self, node: str, account: str) -> None:
        self.evm.send(self.registry.functions.allow(node, account), self.operator)

    def announce(
        self,
        node: str,
        by: str,
        number: int,
        endpoint: str = "vpn.example:51820",
        region: str = "eu",
        bridges: Sequence[str] = (),
    ) -> None:
        self.evm.send(self.registry.functions.announce(node, key(number), endpoint, region, bridges), by)

    def listed(self, cursor: int = 0, limit: int = 100) -> list[Node]:
        return [Node(*node) for node in self.registry.functions.nodes(cursor, limit).call()[0]]


@pytest.fixture
def nodes(evm: Evm) -> Nodes:
    deployer, operator, alice, bob = evm.accounts[:4]
    return Nodes(evm, evm.deploy("NodeRegistry", operator, by=deployer), operator, alice, bob)


def test_an_allowed_node_announces_itself(nodes: Nodes) -> None:
    receipt = nodes.evm.send(nodes.registry.functions.allow("node-1", nodes.alice), nodes.operator)
    assert events(nodes.registry, receipt) == [("NodeAllowed", "node-1", nodes.alice)]
    assert nodes.registry.functions.accountOf("node-1").call() == nodes.alice
    assert nodes.listed() == []
    announce = nodes.registry.functions.announce("node-1", key(1), "[2001:db8::1]:51820", "eu-west_1", ["b:443"])
    receipt = nodes.evm.send(announce, nodes.alice)
    assert events(nodes.registry, receipt) == [
        ("NodeAnnounced", "node-1", nodes.alice, key(1), "[2001:db8::1]:51820", "eu-west_1", ["b:443"])
    ]
    expected = Node("node-1", nodes.alice, key(1), "[2001:db8::1]:51820", "eu-west_1", ["b:443"], nodes.evm.now)
    assert nodes.listed() == [expected]


def test_only_the_operator_allows(nodes: Nodes) -> None:
    refused = ("OwnableUnauthorizedAccount", nodes.alice)
    assert nodes.evm.refusal(nodes.registry.functions.allow("node-1", nodes.alice), nodes.alice) == refused
    assert nodes.evm.refusal(nodes.registry.functions.disallow("node-1"), nodes.alice) == refused
    nodes.evm.send(nodes.registry.functions.transferOwnership(nodes.alice), nodes.operator)
    assert nodes.registry.functions.owner().call() == nodes.operator
    nodes.evm.send(nodes.registry.functions.acceptOwnership(), nodes.alice)
    assert nodes.registry.functions.owner().call() == nodes.alice


def test_only_the_allowed_account_announces(nodes: Nodes) -> None:
    announce = nodes.registry.functions.announce("node-1", key(1), "a:1", "", [])
    assert nodes.evm.refusal(announce, nodes.alice) == ("NodeNotAllowed", "node-1")
    nodes.allow("node-1", nodes.alice)
    for other in (nodes.bob, nodes.operator):
        assert nodes.evm.refusal(announce, other) == ("NotNodeAccount", "node-1", other)
    nodes.evm.send(announce, nodes.alice)


def test_a_disallowed_node_is_gone_at_once(nodes: Nodes) -> None:
    for number, node in enumerate(("a", "b", "c")):
        nodes.allow(node, nodes.alice)
        nodes.announce(node, nodes.alice, number)
    receipt = nodes.evm.send(nodes.registry.functions.disallow("a"), nodes.operator)
    assert events(nodes.registry, receipt) == [("NodeDisallowed", "a", nodes.alice)]
    assert {node.node_id for node in nodes.listed()} == {"b", "c"}
    assert nodes.registry.functions.accountOf("a").call() == ZERO
    announce = nodes.registry.functions.announce("a", key(9), "a:1", "", [])
    assert nodes.evm.refusal(announce, nodes.alice) == ("NodeNotAllowed", "a")
    assert nodes.evm.refusal(nodes.registry.functions.disallow("a"), nodes.operator) == ("NodeNotAllowed", "a")
    # The others can still be changed, and the key is free again.
    nodes.announce("c", nodes.alice, 0, region="us")
    nodes.evm.send(nodes.registry.functions.disallow("b"), nodes.operator)
    assert [(node.node_id, node.key, node.region) for node in nodes.listed()] == [("c", key(0), "us")]


def test_another_account_has_to_announce_anew(nodes: Nodes) -> None:
    nodes.allow("node-1", nodes.alice)
    nodes.announce("node-1", nodes.alice, 1)
    nodes.allow("node-1", nodes.alice)
    assert len(nodes.listed()) == 1  # allowing the same account again changes nothing
    nodes.allow("node-1", nodes.bob)
    assert nodes.listed() == []
    assert nodes.registry.functions.nodes(0, 10).call()[2] == 1
    nodes.announce("node-1", nodes.bob, 1)
    assert [node.account for node in nodes.listed()] == [nodes.bob]


def test_nodes_have_different_keys(nodes: Nodes) -> None:
    for node in ("a", "b"):
        nodes.allow(node, nodes.alice)
    nodes.announce("a", nodes.alice, 1)
    taken = nodes.registry.functions.announce("b", key(1), "b:1", "", [])
    assert nodes.evm.refusal(taken, nodes.alice) == ("NodeKeyTaken", key(1), "a")
    nodes.announce("a", nodes.alice, 1)
    nodes.announce("a", nodes.alice, 2)
    nodes.evm.send(taken, nodes.alice)
    assert {node.node_id: node.key for node in nodes.listed()} == {"a": key(2), "b": key(1)}


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (bytes(32), "ZeroKey"),
        (b"\x01" + bytes(31), "LowOrderKey"),
        (b"\xff" * 32, "NonCanonicalKey"),
    ],
)
def test_bad_keys_are_refused(nodes: Nodes, bad: bytes, error: str) -> None:
    nodes.allow("a", nodes.alice)
    assert nodes.evm.refusal(nodes.registry.functions.announce("a", bad, "a:1", "", []), nodes.alice)[0] == error


@pytest.mark.parametrize(
    ("node", "refused"),
    [
        ("", ("BadLength", "nodeId", 0, 1, 63)),
        ("n" * 64, ("BadLength", "nodeId", 64, 1, 63)),
        ("node 1", ("BadCharacter", "nodeId", 4)),
        ("node/1", ("BadCharacter", "nodeId", 4)),
        ("n\u00f6de", ("BadCharacter", "nodeId", 1)),
        ("<b>", ("BadCharacter", "nodeId", 0)),
        ("a:b", ("BadCharacter", "nodeId", 1)),
    ],
)
def test_bad_names_are_refused(nodes: Nodes, node: str, refused: tuple[object, ...]) -> None:
    assert nodes.evm.refusal(nodes.registry.functions.allow(node, nodes.alice), nodes.operator) == refused


@pytest.mark.parametrize(
    ("endpoint", "region", "refused"),
    [
        ("", "eu", ("BadLength", "endpoint", 0, 1, 261)),
        ("e" * 262, "eu", ("BadLength", "endpoint", 262, 1, 261)),
        ("host:1\nPostUp = x", "eu", ("BadCharacter", "endpoint", 6)),
        ("host:1", "e" * 64, ("BadLength", "region", 64, 0, 63)),
        ("host:1", "e:u", ("BadCharacter", "region", 1)),
        ("host:1", '"', ("BadCharacter", "region", 0)),
    ],
)
def test_bad_texts_are_refused(nodes: Nodes, endpoint: str, region: str, refused: tuple[object, ...]) -> None:
    nodes.allow("a", nodes.alice)
    announce = nodes.registry.functions.announce("a", key(1), endpoint, region, [])
    assert nodes.evm.refusal(announce, nodes.alice) == refused


@pytest.mark.parametrize(
    ("bridges", "refused"),
    [
        (["b:1"] * 9, ("TooManyBridges", 9, 8)),
        (["b:1", ""], ("BadLength", "bridges", 0, 1, 261)),
        (["b" * 262], ("BadLength", "bridges", 262, 1, 261)),
        (["b:1,c:2"], ("BadCharacter", "bridges", 3)),
        (["b:1\nPostUp = x"], ("BadCharacter", "bridges", 3)),
    ],
)
def test_bad_bridges_are_refused(nodes: Nodes, bridges: list[str], refused: tuple[object, ...]) -> None:
    nodes.allow("a", nodes.alice)
    nodes.announce("a", nodes.alice, 1, bridges=["b:1"])
    announce = nodes.registry.functions.announce("a", key(1), "a:1", "", bridges)
    assert nodes.evm.refusal(announce, nodes.alice) == refused
    assert nodes.listed()[0].bridges == ["b:1"]


def test_bridges_change_and_go_with_what_was_announced(nodes: Nodes) -> None:
    for node, bridges in (("a", ["a:1", "a:2", "a:3"]), ("b", ["b:1"]), ("c", ["c:1", "c:2"])):
        nodes.allow(node, nodes.alice)
        nodes.announce(node, nodes.alice, ord(node), bridges=bridges)
    nodes.announce("a", nodes.alice, ord("a"), bridges=["a:4"])
    nodes.evm.send(nodes.registry.functions.disallow("b"), nodes.operator)
    assert [(node.node_id, node.bridges) for node in nodes.listed()] == [("a", ["a:4"]), ("c", ["c:1", "c:2"])]
    nodes.allow("c", nodes.bob)
    nodes.announce("c", nodes.bob, 9)
    assert nodes.listed()[1].bridges == []


def test_the_longest_texts_are_taken(nodes: Nodes) -> None:
    name, endpoint, region = "n" * 63, "e" * 261, "r" * 63
    nodes.allow(name, nodes.alice)
    bridges = ["b" * 261] * 8
    nodes.announce(name, nodes.alice, 1, endpoint, region, bridges)
    assert nodes.listed() == [Node(name, nodes.alice, key(1), endpoint, region, bridges, nodes.evm.now)]


def test_a_node_needs_an_account(nodes: Nodes) -> None:
    assert nodes.evm.refusal(nodes.registry.functions.allow("a", ZERO), nodes.operator) == ("ZeroAccount",)


def test_pages(nodes: Nodes) -> None:
    for number, node in enumerate("abcde"):
        nodes.allow(node, nodes.alice)
        if node != "b":
            nodes.announce(node, nodes.alice, number)
    for cursor, limit, names, following in [
        (0, 5, "acde", 5),
        (0, 2, "a", 2),
        (2, 2, "cd", 4),
        (4, 2**256 - 1, "e", 5),
        (5, 1, "", 5),
        (2**256 - 1, 2**256 - 1, "", 5),
        (1, 0, "", 1),
    ]:
        found, next_, total, checksum, chain_id = nodes.registry.functions.nodes(cursor, limit).call()
        assert "".join(node[0] for node in found) == names
        assert (next_, total, chain_id) == (following, 5, nodes.evm.w3.eth.chain_id)
        types = "(string,address,bytes32,string,string,string[],uint64)[]"
        assert checksum == keccak(encode([types], [[tuple(node) for node in found]]))
