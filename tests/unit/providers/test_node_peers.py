"""What the NodePeers and NodeIdentity resources ask of a node, and what they make of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from providers import node_control
from providers.node_control import NodeError
from providers.node_identity import NodeIdentityProvider
from providers.node_peers import NodePeersProvider
from tests.stand_in import Answer, Asked, StandIn

digest = "sha256:" + "1" * 64
drifted = "sha256:" + "2" * 64


def state(**changes: Any) -> dict[str, Any]:
    block = {"number": 7, "hash": "0x" + "a" * 64}
    return {
        "node": "node-1",
        "publicKey": "key=",
        "endpointPort": 51820,
        "applied": {"digest": digest, "block": block, "receipt": {}},
        "actual": {"digest": digest, "peers": 3},
        "drift": {"missing": {}, "extra": {}},
        **changes,
    }


class FakeNode(StandIn):
    """Answers with ``answers`` in turn, the last one for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[int, Any]] = [(200, state())]
        self.props = {
            "node": "node-1",
            "container": "c1",
            "controlUrl": self.url,
            "digest": digest,
            "block": {"number": 7.0, "hash": "0x" + "a" * 64},
            "token": "hush",
        }

    def answer(self, asked: Asked) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def calls(self) -> list[tuple[str, str, str, Any]]:
        """Method, path, who said so, and the body."""
        return [(one.method, one.path, one.headers["Authorization"], one.body) for one in self.asked]


@pytest.fixture
def node() -> Iterator[FakeNode]:
    node = FakeNode()
    yield node
    node.close()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_control, "patience", 0.3)


def test_create_asks_for_the_declared_list_and_keeps_no_peer(node: FakeNode) -> None:
    made = NodePeersProvider().create(node.props)
    assert node.calls == [
        ("PUT", "/control/list", "Bearer hush", {"digest": digest, "block": {"number": 7, "hash": "0x" + "a" * 64}})
    ]
    assert made.id == "peers-node-1"
    assert made.outs == {
        **node.props,
        "peers": 3,
        "appliedBlock": {"number": 7, "hash": "0x" + "a" * 64},
        "drift": {"missing": {}, "extra": {}},
        "newer": False,
    }


def test_a_node_that_is_newer_is_success_and_reported(node: FakeNode) -> None:
    node.answers = [(200, state(newer=True, actual={"digest": drifted, "peers": 4}))]
    outs = NodePeersProvider().update("peers-node-1", node.props, node.props).outs
    assert outs is not None
    assert (outs["newer"], outs["digest"]) == (True, digest)


def test_a_refresh_shows_the_nodes_own_digest_and_its_drift(node: FakeNode) -> None:
    drift = {"missing": {"a": "10.77.0.2"}, "extra": {"b": "10.77.0.9"}}
    node.answers = [(200, state(actual={"digest": drifted, "peers": 3}, drift=drift))]
    found = NodePeersProvider().read("peers-node-1", node.props)
    assert found.inputs == {**node.props, "digest": drifted}
    assert found.outs is not None
    assert (found.outs["digest"], found.outs["drift"]) == (drifted, drift)
    assert node.calls[0][:2] == ("GET", "/control/state")


def test_a_refresh_of_a_node_as_declared_changes_nothing(node: FakeNode) -> None:
    outs = NodePeersProvider().create(node.props).outs
    assert outs is not None
    found = NodePeersProvider().read("peers-node-1", outs)
    assert found.inputs == node.props
    assert found.outs == outs


def following(number: int, found: str = digest, **changes: Any) -> dict[str, Any]:
    """The state of a node that follows the chain by itself and has got to that block."""
    applied = {"digest": found, "block": {"number": number, "hash": "0x" + "b" * 64}, "receipt": {}, **changes}
    return state(mode="follow", applied=applied, actual={"digest": found, "peers": 3})


def test_blocks_alone_are_no_news_of_a_node_that_follows(node: FakeNode) -> None:
    outs = NodePeersProvider().create(node.props).outs
    assert outs is not None
    node.answers = [(200, following(1000))]
    found = NodePeersProvider().read("peers-node-1", outs)
    assert (found.inputs, found.outs) == (node.props, outs)


def test_a_refresh_shows_what_a_node_did_by_itself(node: FakeNode) -> None:
    outs = NodePeersProvider().create(node.props).outs
    assert outs is not None
    node.answers = [(200, following(1000, drifted))]
    found = NodePeersProvider().read("peers-node-1", outs)
    assert found.inputs == {**node.props, "digest": drifted}
    assert found.outs is not None
    assert found.outs["appliedBlock"]["number"] == 1000


def test_a_list_between_two_blocks_counts_as_the_declared_one_from_its_block_on(node: FakeNode) -> None:
    outs = NodePeersProvider().create(node.props).outs
    assert outs is not None
    removal = {"number": 12, "hash": "0x" + "c" * 64}
    for number, expected in ((7, digest), (9, digest), (6, drifted)):
        node.answers = [(200, following(number, drifted, removalBlock=removal))]
        found = NodePeersProvider().read("peers-node-1", outs)
        assert (found.inputs or {})["digest"] == expected, number


def test_a_refresh_gets_past_a_node_that_is_down(node: FakeNode) -> None:
    node.close()
    found = NodePeersProvider().read("peers-node-1", node.props)
    assert found.inputs == {**node.props, "digest": "no answer"}


@pytest.mark.parametrize("first", [(503, {"detail": "the chain is down"})])
def test_a_node_whose_chain_is_starting_is_asked_again(node: FakeNode, first: tuple[int, Any]) -> None:
    node_control.patience = 5
    node.answers = [first, (200, state())]
    NodePeersProvider().create(node.props)
    assert len(node.asked) == 2


@pytest.mark.parametrize(
    ("status", "answer", "says", "again"),
    [
        (503, {"detail": "the chain is down"}, "refused \\(503\\): the chain is down", True),
        (409, {"detail": "another list"}, "refused \\(409\\): another list", False),
        (403, {"detail": "wrong token"}, "refused \\(403\\): wrong token", False),
        (200, "<html>", "used by something else", False),
        (500, [], "used by something else", False),
        (500, {}, "does not say why", False),
    ],
)
def test_a_refusal_is_told_in_the_nodes_words(node: FakeNode, status: int, answer: Any, says: str, again: bool) -> None:
    node.answers = [(status, answer)]
    with pytest.raises(NodeError, match=says) as refused:
        NodePeersProvider().create(node.props)
    assert (len(node.asked) > 1) is again
    assert "hush" not in str(refused.value)


def test_a_node_that_does_not_answer_is_named(node: FakeNode) -> None:
    node.close()
    with pytest.raises(NodeError, match="node node-1 does not answer at http://127"):
        NodePeersProvider().create(node.props)


def test_delete_asks_nothing(node: FakeNode) -> None:
    NodePeersProvider().delete("peers-node-1", node.props)
    assert node.asked == []


def test_an_identity_is_the_nodes_public_key(node: FakeNode) -> None:
    props = {key: node.props[key] for key in ("node", "container", "controlUrl", "token")}
    made = NodeIdentityProvider().create(props)
    assert (made.id, made.outs) == ("node-node-1", {**props, "publicKey": "key="})
    assert node.calls == [("GET", "/control/state", "Bearer hush", None)]


def test_a_refresh_shows_a_node_that_has_another_key(node: FakeNode) -> None:
    outs = NodeIdentityProvider().create(node.props).outs
    assert outs is not None
    node.answers = [(200, state(publicKey="other="))]
    found = NodeIdentityProvider().read("node-node-1", outs)
    assert found.outs is not None
    assert found.outs["publicKey"] == "other="


def test_an_identity_outlives_a_node_that_is_down(node: FakeNode) -> None:
    outs = NodeIdentityProvider().create(node.props).outs
    assert outs is not None
    node.close()
    assert NodeIdentityProvider().read("node-node-1", outs).outs == outs
