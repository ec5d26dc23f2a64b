"""Nodes that follow the chain by themselves, as the stack runs them with ``access.mode: follow``."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.integration.vpn.conftest import Chain, Node

pytestmark = [pytest.mark.docker, pytest.mark.chain, pytest.mark.timeout(600)]


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_nodes_follow_without_being_asked(make_node: Callable[..., Node], chain: Chain) -> None:
    first = chain.join()
    one = make_node(AUTO_SYNC="true", NETWORK="local")
    two = make_node(AUTO_SYNC="true", NETWORK="local", NODE_ID="node-2")
    assert one.peers() == two.peers() == chain.list().peers
    second = chain.join()
    until(lambda: second.key in one.peers() and second.key in two.peers())
    chain.sell(first)
    until(lambda: one.peers() == two.peers() == chain.list().peers)
    assert set(one.peers()) == {second.key}
    stats = one.call("GET", "/stats").json()
    assert stats["peers"] == {"total": 1, "connected": 0}
    assert stats["mode"] == "follow"
    assert stats["list"]["digest"] == chain.list().digest
    assert stats["apply"]["count"] >= 2
    assert [peer["key"] for peer in stats["peerList"]] == [second.key]
    assert one.call("GET", "/ping", token="none").status_code == 204
    receipts = one.call("GET", "/control/receipts").json()["receipts"]
    assert receipts[0]["digest"] == chain.list().digest
    answer = one.apply(chain.list())
    assert answer["mode"] == "follow"


def test_it_stops_at_once_and_comes_back_with_its_peers(make_node: Callable[..., Node], chain: Chain) -> None:
    chain.join()
    node = make_node(AUTO_SYNC="true", NETWORK="local")
    for signal in ("SIGTERM", "SIGINT"):
        began = time.monotonic()
        node.container.kill(signal)
        assert node.container.wait(timeout=15)["StatusCode"] == 0
        assert time.monotonic() - began < 8
        node.container.start()
        node.started = time.monotonic()
        node.wait_healthy()
        assert node.peers() == chain.list().peers
