"""KeyRegistry: requests that somebody else sends for the one who signed them."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.crypto import keccak
from web3.contract import Contract

from tests.unit.contracts.conftest import World
from tests.unit.contracts.evm import ZERO, Peer, key, peers

DOMAIN = ["name", "version", "chainId", "verifyingContract"]
TYPES = {
    "EIP712Domain": [
        {"name": name, "type": kind}
        for name, kind in zip(DOMAIN, ["string", "string", "uint256", "address"], strict=True)
    ],
    "Register": [
        {"name": "tokenId", "type": "uint256"},
        {"name": "publicKey", "type": "bytes32"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ],
    "Revoke": [
        {"name": "tokenId", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ],
}


def typed(world: World, kind: str, message: dict[str, Any], **domain: Any) -> dict[str, Any]:
    fields = {
        "name": "berth KeyRegistry",
        "version": "1",
        "chainId": world.evm.w3.eth.chain_id,
        "verifyingContract": world.registry.address,
    }
    types = {name: TYPES[name] for name in ("EIP712Domain", kind)}
    return {"types": types, "primaryType": kind, "domain": fields | domain, "message": message}


def registration(world: World, token: int, number: int, signer: str, **changes: Any) -> dict[str, Any]:
    """A Register request; `changes` name what to sign instead of the right thing."""
    message = {
        "tokenId": token,
        "publicKey": key(number),
        "nonce": world.registry.functions.nonces(signer).call(),
        "deadline": world.evm.now + 600,
    }
    domain = {name: changes.pop(name) for name in DOMAIN if name in changes}
    return typed(world, "Register", message | changes, **domain)


def register_for(world: World, token: int, number: int, holder: str, deadline: int, signature: bytes) -> Any:
    return world.registry.functions.registerFor(token, key(number), holder, deadline, signature)


def test_a_holder_registers_without_gas(world: World) -> None:
    token = world.mint(world.alice)
    request = registration(world, token, 1, world.alice)
    call = register_for(
        world, token, 1, world.alice, request["message"]["deadline"], world.evm.sign(world.alice, request)
    )
    world.evm.send(call, world.relay)
    assert peers(world.registry) == {token: Peer(token, world.alice, key(1), 1, 0)}
    assert world.registry.functions.nonces(world.alice).call() == 1


def test_a_request_is_taken_once(world: World) -> None:
    token = world.mint(world.alice)
    request = registration(world, token, 1, world.alice)
    deadline = request["message"]["deadline"]
    call = register_for(world, token, 1, world.alice, deadline, world.evm.sign(world.alice, request))
    world.evm.send(call, world.relay)
    assert world.evm.refusal(call, world.relay) == ("SignatureReplayed", world.alice, 0)
    # Also after the holder used later nonces, and revoked what the request did.
    world.evm.send(world.registry.functions.revoke(token), world.alice)
    other = registration(world, token, 2, world.alice)
    signature = world.evm.sign(world.alice, other)
    world.evm.send(register_for(world, token, 2, world.alice, other["message"]["deadline"], signature), world.relay)
    assert world.evm.refusal(call, world.relay) == ("SignatureReplayed", world.alice, 0)


def test_a_request_of_another_nonce_is_refused(world: World) -> None:
    token = world.mint(world.alice)
    request = registration(world, token, 1, world.alice, nonce=1)
    call = register_for(
        world, token, 1, world.alice, request["message"]["deadline"], world.evm.sign(world.alice, request)
    )
    assert world.evm.refusal(call, world.relay) == ("InvalidSignature", world.alice, 0)


def test_a_request_holds_until_its_deadline(world: World) -> None:
    token = world.mint(world.alice)
    request = registration(world, token, 1, world.alice)
    deadline = request["message"]["deadline"]
    call = register_for(world, token, 1, world.alice, deadline, world.evm.sign(world.alice, request))
    world.evm.travel(deadline)
    call.call({"from": world.relay})
    world.evm.travel(deadline + 1)
    assert world.evm.refusal(call, world.relay) == ("SignatureExpired", deadline, deadline + 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenId": 2},
        {"publicKey": key(9)},
        {"deadline": 2**40},
        {"chainId": 1},
        {"name": "other"},
        {"version": "2"},
        {"verifyingContract": "0x" + "11" * 20},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_signature_over_something_else_is_refused(world: World, changes: dict[str, Any]) -> None:
    token = world.mint(world.alice)
    right = registration(world, token, 1, world.alice)
    signature = world.evm.sign(world.alice, registration(world, token, 1, world.alice, **changes))
    call = register_for(world, token, 1, world.alice, right["message"]["deadline"], signature)
    assert world.evm.refusal(call, world.relay) == ("InvalidSignature", world.alice, 0)


def test_a_signature_of_somebody_else_is_refused(world: World) -> None:
    token = world.mint(world.alice)
    request = registration(world, token, 1, world.alice)
    deadline = request["message"]["deadline"]
    signature = world.evm.sign(world.bob, request)
    refused = world.evm.refusal(register_for(world, token, 1, world.alice, deadline, signature), world.relay)
    assert refused == ("InvalidSignature", world.alice, 0)
    refused = world.evm.refusal(register_for(world, token, 1, world.bob, deadline, signature), world.relay)
    assert refused == ("NotHolder", token, world.bob, world.alice)


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(65), b"\xff" * 65, bytes(5_000)], ids=len)
def test_what_is_no_signature_is_refused(world: World, signature: bytes) -> None:
    token = world.mint(world.alice)
    for account in (world.alice, ZERO):
        call = register_for(world, token, 1, account, world.evm.now + 600, signature)
        assert world.evm.refusal(call, world.relay) == ("InvalidSignature", account, 0)


def test_the_other_signature_of_the_same_request_is_refused(world: World) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    token = world.mint(world.alice)
    request = registration(world, token, 1, world.alice)
    signature = world.evm.sign(world.alice, request)
    s = order - int.from_bytes(signature[32:64])
    twin = signature[:32] + s.to_bytes(32) + bytes([55 - signature[64]])
    call = register_for(world, token, 1, world.alice, request["message"]["deadline"], twin)
    assert world.evm.refusal(call, world.relay) == ("InvalidSignature", world.alice, 0)


def test_a_request_signed_before_the_sale_is_refused_after_it(world: World) -> None:
    token = world.mint(world.alice)
    request = registration(world, token, 1, world.alice)
    signature = world.evm.sign(world.alice, request)
    world.sell(token, world.alice, world.bob)
    call = register_for(world, token, 1, world.alice, request["message"]["deadline"], signature)
    assert world.evm.refusal(call, world.relay) == ("NotHolder", token, world.alice, world.bob)


def test_the_rules_hold_for_signed_requests_too(world: World) -> None:
    token = world.mint(world.alice)
    request = registration(world, token, 1, world.alice, publicKey=bytes(32))
    deadline = request["message"]["deadline"]
    call = world.registry.functions.registerFor(
        token, bytes(32), world.alice, deadline, world.evm.sign(world.alice, request)
    )
    assert world.evm.refusal(call, world.relay) == ("ZeroKey",)


def test_a_delegate_signs_for_the_holder(world: World) -> None:
    token = world.mint(world.alice)
    world.evm.send(world.registry.functions.setDelegate(token, world.bob), world.alice)
    request = registration(world, token, 1, world.bob)
    signature = world.evm.sign(world.bob, request)
    world.evm.send(register_for(world, token, 1, world.bob, request["message"]["deadline"], signature), world.relay)
    assert peers(world.registry) == {token: Peer(token, world.alice, key(1), 1, 0)}


def test_a_holder_revokes_without_gas(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    deadline = world.evm.now + 600
    request = typed(world, "Revoke", {"tokenId": token, "nonce": 0, "deadline": deadline})
    forged = world.registry.functions.revokeFor(token, world.alice, deadline, world.evm.sign(world.bob, request))
    assert world.evm.refusal(forged, world.relay) == ("InvalidSignature", world.alice, 0)
    call = world.registry.functions.revokeFor(token, world.alice, deadline, world.evm.sign(world.alice, request))
    world.evm.send(call, world.relay)
    assert peers(world.registry) == {}
    assert world.evm.refusal(call, world.relay) == ("SignatureReplayed", world.alice, 0)


def test_a_stranger_s_signature_revokes_nothing(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    deadline = world.evm.now + 600
    request = typed(world, "Revoke", {"tokenId": token, "nonce": 0, "deadline": deadline})
    call = world.registry.functions.revokeFor(token, world.bob, deadline, world.evm.sign(world.bob, request))
    assert world.evm.refusal(call, world.relay) == ("NotHolder", token, world.bob, world.alice)


def test_a_registration_is_not_a_revocation(world: World) -> None:
    token = world.mint(world.alice)
    request = registration(world, token, 1, world.alice)
    signature = world.evm.sign(world.alice, request)
    world.register(token, world.alice, 1)
    call = world.registry.functions.revokeFor(token, world.alice, request["message"]["deadline"], signature)
    assert world.evm.refusal(call, world.relay) == ("InvalidSignature", world.alice, 0)


def test_a_wallet_contract_registers(world: World) -> None:
    wallet = world.evm.deploy("test/SmartWallet", world.bob)
    token = world.mint(wallet.address)
    request = registration(world, token, 1, wallet.address)
    deadline = request["message"]["deadline"]
    forged = world.evm.sign(world.alice, request)
    refused = world.evm.refusal(register_for(world, token, 1, wallet.address, deadline, forged), world.relay)
    assert refused == ("InvalidSignature", wallet.address, 0)
    call = register_for(world, token, 1, wallet.address, deadline, world.evm.sign(world.bob, request))
    world.evm.send(call, world.relay)
    assert peers(world.registry) == {token: Peer(token, wallet.address, key(1), 1, 0)}
    assert world.evm.refusal(call, world.relay) == ("SignatureReplayed", wallet.address, 0)


def test_a_contract_that_is_no_wallet_signs_nothing(world: World) -> None:
    plain = world.evm.deploy("test/PlainCollection")
    holder = world.passes.address
    world.evm.send(plain.functions.mint(holder, 1), world.alice)
    registry: Contract = world.evm.deploy("KeyRegistry", plain.address, False, 0)
    call = registry.functions.registerFor(1, key(1), holder, world.evm.now + 600, bytes(65))
    assert world.evm.refusal(call, world.relay) == ("InvalidSignature", holder, 0)


def test_the_domain_can_be_read(world: World) -> None:
    fields, name, version, chain_id, contract, salt, extensions = world.registry.functions.eip712Domain().call()
    assert (fields, name, version, chain_id) == (b"\x0f", "berth KeyRegistry", "1", world.evm.w3.eth.chain_id)
    assert (contract, salt, extensions) == (world.registry.address, bytes(32), [])
    for kind, constant in (("Register", "REGISTER_TYPEHASH"), ("Revoke", "REVOKE_TYPEHASH")):
        fields = ",".join(f"{field['type']} {field['name']}" for field in TYPES[kind])
        assert world.registry.functions[constant]().call() == keccak(text=f"{kind}({fields})")
