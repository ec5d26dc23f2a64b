"""Nodes that follow the chain by themselves, several of them, and joining as a person would, on the real deployment."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import docker
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access.client.service import AccessService
from berth.access.client.wallet import Wallet
from berth.chain import dev
from berth.chain.node_registry import NodeRegistry
from berth.chain.transactions import Sender
from demo.deployment import Deployment
from providers.settings import anvil_key
from tests.e2e.conftest import Node, Pulumi

pytestmark = [pytest.mark.docker, pytest.mark.chain]


def within(seconds: float, what: str, holds: Callable[[], bool]) -> float:
    """Waits until ``holds`` and returns how long that took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - started


def everywhere(deployment: Deployment, key: str) -> None:
    """Soon, every node has the peer."""
    within(5, "every node has the peer", lambda: all(key in deployment.peers(name) for name in deployment.nodes))


def nowhere(deployment: Deployment, key: str) -> None:
    """Soon, no node has the peer."""
    within(5, "no node has the peer", lambda: not any(key in deployment.peers(name) for name in deployment.nodes))


@pytest.fixture
def deployment(pulumi: Pulumi) -> Deployment:
    return Deployment(pulumi.outputs())


def holders(deployment: Deployment) -> tuple[Sender, int, str]:
    """A new pass with a registered key, in a funded wallet: (sender, token, key)."""
    wallet, key = dev.Wallet.fresh(), dev.fresh_public_key()
    dev.fund(deployment.endpoint, wallet.address)
    sender = Sender(deployment.endpoint, wallet.key)
    token = deployment.passes.mint(Sender(deployment.endpoint, anvil_key), wallet.address)
    deployment.registry.register(sender, token, key)
    return sender, token, key


def nodes(deployment: Deployment) -> list[Node]:
    return [Node(node["controlUrl"], node["controlToken"]) for node in deployment.nodes.values()]


def test_every_node_lets_in_and_drops_by_itself_and_all_have_the_same_list(deployment: Deployment) -> None:
    assert len(deployment.nodes) == 2
    sender, token, key = holders(deployment)
    everywhere(deployment, key)
    first, second = (node.state()["applied"] for node in nodes(deployment))
    assert first["digest"] == second["digest"]
    assert first["receipt"]["peers"] == second["receipt"]["peers"]

    deployment.passes.transfer(sender, dev.Wallet.fresh().address, token)
    nowhere(deployment, key)


def test_an_update_records_what_the_nodes_did_and_then_there_is_nothing_to_do(
    pulumi: Pulumi, deployment: Deployment
) -> None:
    _, token, key = holders(deployment)
    everywhere(deployment, key)
    shown = pulumi.expect("preview", "--refresh", "--diff")
    assert re.search(rf"^\s*\+ {token}\b", shown, re.MULTILINE), shown
    pulumi.expect("up", "--yes", "--skip-preview")
    dev.mine(deployment.endpoint, 3)
    for arguments in (("up", "--yes", "--skip-preview"), ("up", "--yes", "--skip-preview", "--refresh")):
        text = pulumi.expect(*arguments)
        assert re.search(r"\b\d+ unchanged", text), text
        assert not re.search(r"\b\d+ (created|updated|replaced|deleted)", text), text


def test_a_peer_changed_by_hand_on_a_node_is_put_back_without_anybody(pulumi: Pulumi, deployment: Deployment) -> None:
    _, _, key = holders(deployment)
    within(5, "node-1 has the peer", lambda: key in deployment.peers("node-1"))
    whole = deployment.peers("node-1")
    stranger = dev.fresh_public_key()
    container = docker.from_env().containers.get(f"berth-{pulumi.stack}-node-1")
    for command in (
        ["wg", "set", "wg0", "peer", stranger, "allowed-ips", "10.78.99.9/32"],
        ["wg", "set", "wg0", "peer", key, "remove"],
    ):
        status, output = container.exec_run(command)
        assert status == 0, output
    within(5, "the peers are as before", lambda: _wireguard_peers(container) == whole)


def _wireguard_peers(container: Any) -> set[str]:
    """What WireGuard itself says, not the agent."""
    status, output = container.exec_run(["wg", "show", "wg0", "peers"])
    assert status == 0, output
    return set(output.decode().split())


def test_nodes_announce_themselves_and_only_those_allowed_are_offered(deployment: Deployment) -> None:
    registry = NodeRegistry(deployment.endpoint, deployment.outputs["nodeRegistry"])
    announced = {node.id: node for node in registry.nodes()}
    assert set(announced) == set(deployment.nodes)
    for name, node in deployment.nodes.items():
        found = announced[name]
        assert (found.key, found.endpoint, found.account, found.region) == (
            node["publicKey"],
            node["endpoint"],
            node["account"],
            node["region"],
        )
        ping = httpx.get(f"{deployment.url}nodes/{name}/ping", timeout=5)
        assert ping.status_code == 204


def test_joining_without_gas_through_the_gateway(pulumi: Pulumi, deployment: Deployment) -> None:
    fresh = dev.Wallet.fresh()
    wallet = Wallet(fresh.key, fresh.address)
    token = deployment.passes.mint(Sender(deployment.endpoint, anvil_key), wallet.address)
    with AccessService(deployment.url) as service:
        service.sign_in(wallet)
        assert [int(one["token"]) for one in service.passes()] == [token]
        offered = {node["id"]: node for node in service.nodes()}
        assert set(offered) == {"node-1", "node-2"}
        assert offered["node-2"]["region"] == "elsewhere"
        device = service.register(wallet, token, X25519PrivateKey.generate())
        everywhere(deployment, device.key)
        assert int(deployment.endpoint.request("eth_getBalance", wallet.address, "latest"), 16) == 0
        service.revoke(wallet, token)
        nowhere(deployment, device.key)


def test_the_api_is_reached_through_the_gateway_alone(pulumi: Pulumi, deployment: Deployment) -> None:
    access = docker.from_env().containers.get(f"berth-{pulumi.stack}-access")
    assert not access.attrs["NetworkSettings"]["Ports"].get("8080/tcp")
    for path in ("/api/access/session", "/api/access/devices"):
        refused = httpx.get(deployment.url.rstrip("/") + path, timeout=5)
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["content-security-policy"].startswith("default-src 'none'")


def test_nodes_that_act_on_up_only_wait_for_it(pulumi: Pulumi, settings: Callable[..., None]) -> None:
    settings(access={"mode": "on-up"})
    pulumi.expect("up", "--yes", "--skip-preview")
    try:
        deployment = Deployment(pulumi.outputs())
        assert not deployment.follows
        _, token, key = holders(deployment)
        time.sleep(3)
        assert not [name for name in deployment.nodes if key in deployment.peers(name)]
        assert re.search(rf"^\s*\+ {token}\b", pulumi.expect("preview", "--diff"), re.MULTILINE)
        pulumi.expect("up", "--yes", "--skip-preview")
        assert all(key in deployment.peers(name) for name in deployment.nodes)
    finally:
        settings()
        pulumi.expect("up", "--yes", "--skip-preview")
