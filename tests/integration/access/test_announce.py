"""A node that announces itself, from a process of its own, on a real chain."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from berth.chain.anvil import Anvil, accounts_key
from berth.chain.dev import Wallet, fresh_public_key, fund
from berth.chain.errors import ChainError
from berth.chain.node_registry import NodeRegistry
from berth.chain.seed import deploy
from berth.chain.transactions import Sender
from berth.vpn.announce import Announcer
from berth.vpn.settings import NodeSettings

pytestmark = [pytest.mark.chain, pytest.mark.timeout(180)]


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


def settings_of(anvil: Anvil, registry: str, wallet: Wallet, **changes: str) -> NodeSettings:
    environment = {
        "NODE_ID": "node-1",
        "NETWORK": "local",
        "RPC_URLS": anvil.url,
        "KEY_REGISTRY": registry,
        "NODE_REGISTRY": registry,
        "CONTRACT_PRIVATE_KEY": wallet.key,
        "ENDPOINT": "vpn.example.org:51820",
        "REGION": "eu-1",
        "BRIDGES": "vpn.example.org:443, vpn.example.org:444",
        "CONTROL_TOKEN": "0123456789abcdef",
    }
    return NodeSettings.load("WireGuard node", {**environment, **changes})


def test_it_is_announced_once_allowed_and_anew_only_where_something_changed(anvil: Anvil) -> None:
    endpoint, wallet, key = anvil.endpoint(), Wallet.fresh(), fresh_public_key()
    registry = NodeRegistry(endpoint, deploy(endpoint).node_registry)
    fund(endpoint, wallet.address)
    settings = settings_of(anvil, registry.address, wallet)
    announcer = Announcer(settings, key)
    with pytest.raises(ChainError, match="not announced yet"):
        announcer.check()
    announcer.start()
    try:
        deadline = time.monotonic() + 60
        while "not announced" in announcer._fault and time.monotonic() < deadline:
            time.sleep(0.1)
        with pytest.raises(ChainError, match="NodeNotAllowed"):
            announcer.check()
        registry.allow(Sender(endpoint, accounts_key), "node-1", wallet.address)
        while announcer._fault and time.monotonic() < deadline:
            time.sleep(0.1)
        assert announcer.check() == "announced as vpn.example.org:51820"
    finally:
        announcer.stop()
    (node,) = registry.nodes()
    assert (node.id, node.key, node.endpoint, node.region) == ("node-1", key, "vpn.example.org:51820", "eu-1")
    assert node.bridges == ("vpn.example.org:443", "vpn.example.org:444")
    head = endpoint.block()
    assert Announcer(settings, key)._try() == ""
    assert endpoint.block() == head
    moved = settings_of(anvil, registry.address, wallet, ENDPOINT="vpn.example.org:51821")
    assert Announcer(moved, key)._try() == ""
    assert registry.nodes()[0].endpoint == "vpn.example.org:51821"
    alone = settings_of(anvil, registry.address, wallet, ENDPOINT="vpn.example.org:51821", BRIDGES="")
    assert Announcer(alone, key)._try() == ""
    assert registry.nodes()[0].bridges == ()


def test_a_reason_never_holds_the_key(anvil: Anvil) -> None:
    wallet = Wallet.fresh()
    announcer = Announcer(settings_of(anvil, "0x" + "11" * 20, wallet), fresh_public_key())
    reason = announcer._try()
    assert reason
    assert wallet.key[2:] not in reason
