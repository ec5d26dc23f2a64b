"""Passes of somebody else's collection, which has nothing but ERC-721, with ids beyond what JavaScript counts."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.chain import abi
from berth.chain.artifacts import load
from berth.chain.key_registry import KeyRegistry
from tests.integration.access_api.conftest import Service, World, for_tests, free_port

pytestmark = pytest.mark.chain
token = 2**200 + 1


def test_a_plain_collection(world: World) -> None:
    collection = world.deployed(for_tests("PlainCollection"))
    registry = world.deployed(load("KeyRegistry"), collection=collection, delegates=False, quarantine=0)
    wallet = world.wallet()
    minted = abi.encode_call("mint(address,uint256)", int(wallet.address, 16), token)
    world.operator.send_raw(collection, minted, "mint")
    running = Service(world.variables(KEY_REGISTRY=registry), free_port()).start()
    try:
        with world.signed_in(running, wallet) as client:
            assert client.config["collection"] == collection
            (shown,) = client.passes()
            assert (shown["token"], shown["role"], shown["expires"]) == (str(token), "owner", 0)
            made = client.register(wallet, token, X25519PrivateKey.generate())
            (peer,) = KeyRegistry(world.endpoint, registry).peers_of([token])
            assert (peer.holder, peer.key) == (wallet.address, made.key)
            world.operator.send_raw(collection, abi.encode_call("burn(uint256)", token), "burn")
            assert client.passes() == []
            assert [device["status"] for device in client.devices()] == ["replaced"]
    finally:
        running.stop()
