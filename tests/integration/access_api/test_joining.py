"""A holder joins through the relay, sells, revokes, comes back: over HTTP, on a real chain."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access.client.service import AccessService
from berth.access.possession import public_of
from berth.access.read import read_access_list
from berth.chain import dev
from berth.chain.access_pass import AccessPass
from berth.chain.transactions import Sender
from berth.kit.client import ApiRefused
from tests.integration.access_api.conftest import Service, World

pytestmark = pytest.mark.chain
subnet = IPv4Network("10.77.0.0/16")


def eventually(what: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What it returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.1)
    return found


def test_a_holder_without_funds_becomes_a_peer(world: World, service: Service) -> None:
    wallet, token = world.member()
    private = X25519PrivateKey.generate()
    with world.signed_in(service, wallet) as client:
        (before,) = client.passes()
        assert (before["token"], before["role"], before["registered"]) == (str(token), "owner", False)
        made = client.register(wallet, token, private)

        entry = read_access_list(world.endpoint, world.contracts.key_registry, subnet).by_token[token]
        assert (entry.owner, entry.key, entry.address) == (wallet.address, public_of(private), made.address)
        assert made.address6 == f"fd77::{made.address.rpartition('.')[2]}"
        (after,) = client.passes()
        assert (after["registered"], after["key"], after["address"]) == (True, made.key, made.address)
        (device,) = client.devices()
        assert (device["status"], device["key"], device["lastHandshake"]) == ("pending", made.key, None)
    assert int(world.endpoint.request("eth_getBalance", wallet.address, "latest"), 16) == 0
    assert service.logged("relayed", function="registerFor", transaction=made.transaction)


def test_a_device_is_active_once_a_node_has_it(world: World, service: Service) -> None:
    wallet, token = world.member()
    with world.signed_in(service, wallet) as client:
        key = client.register(wallet, token, X25519PrivateKey.generate()).key
        seen = {"key": key, "address": "10.77.0.2", "connected": True, "lastHandshake": 1234, "received": 5, "sent": 7}
        world.node.stats |= {"peers": {"total": 1, "connected": 1}, "peerList": [seen]}
        eventually(lambda: client.devices()[0]["status"] == "active")
        (device,) = client.devices()
        shown = {name: device[name] for name in ("connected", "lastHandshake", "node", "received", "sent")}
        assert shown == {"connected": True, "lastHandshake": 1234, "node": "node-1", "received": 7, "sent": 5}


def test_a_sale_is_seen_at_once_by_both(world: World, service: Service) -> None:
    (alice, token), bob = world.member(), world.wallet()
    dev.fund(world.endpoint, alice.address)
    with world.signed_in(service, alice) as seller, world.signed_in(service, bob) as buyer:
        assert buyer.passes() == []
        seller.register(alice, token, X25519PrivateKey.generate())
        dev.transfer(world.endpoint, world.contracts.access_pass, alice.key, bob.address, token)
        assert seller.passes() == []
        assert [device["status"] for device in seller.devices()] == ["replaced"]
        with pytest.raises(ApiRefused, match="does not hold") as refused:
            seller.register(alice, token, X25519PrivateKey.generate())
        assert refused.value.reason == "not-holder"
        (bought,) = buyer.passes()
        assert (bought["token"], bought["registered"]) == (str(token), False)
        assert buyer.register(bob, token, X25519PrivateKey.generate()).token == token
        assert buyer.devices()[0]["status"] in ("pending", "active")


def test_revoking_and_joining_again(world: World, service: Service) -> None:
    wallet, token = world.member()
    with world.signed_in(service, wallet) as client:
        first = client.register(wallet, token, X25519PrivateKey.generate())
        client.revoke(wallet, token)
        assert client.devices() == []
        assert world.registry.peers_of([token]) == ()
        with pytest.raises(ApiRefused) as refused:
            client.revoke(wallet, token)
        assert refused.value.reason == "no-binding"
        again = client.register(wallet, token, X25519PrivateKey.generate())
        assert again.key != first.key
        assert [device["key"] for device in client.devices()] == [again.key]


def test_a_new_key_takes_the_place_of_the_old_one(world: World, service: Service) -> None:
    wallet, token = world.member()
    with world.signed_in(service, wallet) as client:
        first = client.register(wallet, token, X25519PrivateKey.generate())
        second = client.register(wallet, token, X25519PrivateKey.generate())
        assert (first.address, first.key != second.key) == (second.address, True)
        assert [device["key"] for device in client.devices()] == [second.key]


def test_an_expired_pass_is_shown_and_refused(world: World, service: Service) -> None:
    now = int(world.endpoint.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    wallet, token = world.member(expires=now + 1000)
    with world.signed_in(service, wallet) as client:
        client.register(wallet, token, X25519PrivateKey.generate())
        assert client.passes()[0]["expires"] == now + 1000
        dev.advance(world.endpoint, 1001)
        assert [device["status"] for device in client.devices()] == ["expired"]
        with pytest.raises(ApiRefused) as refused:
            client.register(wallet, token, X25519PrivateKey.generate())
        assert refused.value.reason == "pass-expired"


def test_users_and_delegates_have_their_roles(world: World, service: Service) -> None:
    (owner, token), (lender, rented) = world.member(), world.member()
    tenant, helper = world.wallet(), world.wallet()
    dev.fund(world.endpoint, owner.address)
    until = int(world.endpoint.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16) + 5000
    world.lend(lender, rented, tenant.address, until)
    Sender(world.endpoint, owner.key).send(
        "KeyRegistry", world.contracts.key_registry, "setDelegate", token, helper.address
    )
    with world.signed_in(service, tenant) as client:
        (shown,) = client.passes()
        assert (shown["role"], shown["owner"], shown["expires"]) == ("user", lender.address, until)
        client.register(tenant, rented, X25519PrivateKey.generate())
        assert len(client.devices()) == 1
    with world.signed_in(service, lender) as client:
        (shown,) = client.passes()
        assert (shown["role"], shown["holder"], shown["usable"]) == ("owner", tenant.address, False)
        assert client.devices() == []
        with pytest.raises(ApiRefused) as refused:
            client.register(lender, rented, X25519PrivateKey.generate())
        assert refused.value.reason == "not-holder"
    with world.signed_in(service, helper) as client:
        assert [one["role"] for one in client.passes()] == ["delegate"]
        made = client.register(helper, token, X25519PrivateKey.generate())
        assert [device["key"] for device in client.devices()] == [made.key]


def test_bridges_are_told_to_everybody(world: World, service: Service) -> None:
    """Without a session: one ends while a tunnel goes on."""
    with AccessService(service.url) as stranger:
        eventually(lambda: len(stranger.bridges()) == 2)
        assert stranger.bridges() == [
            {"node": "node-1", "publicKey": world.node.stats["interfacePublicKey"], "endpoint": f"vpn.example:{port}"}
            for port in (51840, 443)
        ]


def test_nodes_are_those_allowed_and_announced(world: World, service: Service) -> None:
    wallet, _ = world.member()
    with world.signed_in(service, wallet) as client:
        eventually(lambda: [node["healthy"] for node in client.nodes()] == [True])
        (node,) = client.nodes()
        assert (node["id"], node["endpoint"], node["region"]) == ("node-1", "vpn.example:51820", "here")
        assert node["bridges"] == ["vpn.example:51840", "vpn.example:443"]
        assert (node["publicKey"], node["probeUrl"]) == (world.node.stats["interfacePublicKey"], "/nodes/node-1/ping")
        world.node.status = 503
        try:
            eventually(lambda: client.nodes()[0]["healthy"] is False, 10)
        finally:
            world.node.status = 200
        eventually(lambda: client.nodes()[0]["healthy"])


def test_everybody_sees_the_configuration(world: World, service: Service) -> None:
    config = httpx.get(f"{service.url}/api/access/config").json()
    assert config["collection"] == world.contracts.access_pass
    assert config["domain"] == {
        "name": "berth KeyRegistry",
        "version": "1",
        "chainId": world.endpoint.chain_id,
        "verifyingContract": world.contracts.key_registry,
    }
    assert (config["mtu"], config["dns"], config["allowedIps"]) == (1420, [], ["10.77.0.0/16", "fd77::/64"])
    assert AccessPass(world.endpoint, config["collection"]).owner_of(1)


def test_health_tells_the_chain_and_the_relay(world: World, service: Service) -> None:
    report = eventually(lambda: httpx.get(f"{service.url}/health").json())
    assert report["status"] == "ok"
    assert report["checks"]["chain"]["detail"].startswith("head ")
    assert world.relay.address in report["checks"]["relay"]["detail"]
