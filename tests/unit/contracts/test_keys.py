"""KeyRegistry: which keys are taken, and that a key belongs to one pass."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from tests.unit.contracts.conftest import World
from tests.unit.contracts.evm import events, key, peers

P = 2**255 - 19
ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
TOP_BIT = 2**255

LOW_ORDER = [1, *ORDER_8, P - 1]
NOT_CANONICAL = [
    P,
    P + 1,
    2**255 - 1,
    TOP_BIT,
    TOP_BIT + 9,
    TOP_BIT + ORDER_8[0],
    TOP_BIT + P - 1,
    TOP_BIT + P,
    2**256 - 1,
]
GOOD = [2, 9, P - 2, P - 0xEC, 2**255 - 257, 2**254]


def encoded(coordinate: int) -> bytes:
    return coordinate.to_bytes(32, "little")


def test_a_zero_key_is_refused(world: World) -> None:
    token = world.mint(world.alice)
    assert world.evm.refusal(world.registry.functions.register(token, bytes(32)), world.alice) == ("ZeroKey",)


@pytest.mark.parametrize("coordinate", LOW_ORDER)
def test_a_key_of_low_order_is_refused(world: World, coordinate: int) -> None:
    with pytest.raises(ValueError, match="Error computing shared key"):  # what makes the key worthless
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(encoded(coordinate)))
    token = world.mint(world.alice)
    refused = world.evm.refusal(world.registry.functions.register(token, encoded(coordinate)), world.alice)
    assert refused == ("LowOrderKey", encoded(coordinate))


@pytest.mark.parametrize("coordinate", NOT_CANONICAL)
def test_a_second_encoding_of_a_key_is_refused(world: World, coordinate: int) -> None:
    token = world.mint(world.alice)
    refused = world.evm.refusal(world.registry.functions.register(token, encoded(coordinate)), world.alice)
    assert refused == ("NonCanonicalKey", encoded(coordinate))


def test_good_keys_are_taken(world: World) -> None:
    token = world.mint(world.alice)
    made = [X25519PrivateKey.generate().public_key().public_bytes_raw() for _ in range(5)]
    for good in [*made, *map(encoded, GOOD)]:
        world.registry.functions.register(token, good).call({"from": world.alice})


def test_a_key_belongs_to_one_pass(world: World) -> None:
    mine, other = world.mint(world.alice), world.mint(world.bob)
    world.register(mine, world.alice, 1)
    for by, token in ((world.bob, other), (world.alice, world.mint(world.alice))):
        assert world.evm.refusal(world.registry.functions.register(token, key(1)), by) == ("KeyTaken", key(1), mine)
    assert world.registry.functions.tokenOf(key(1)).call() == [True, mine]


def test_a_key_given_up_can_be_taken(world: World) -> None:
    mine, other = world.mint(world.alice), world.mint(world.bob)
    world.register(mine, world.alice, 1)
    world.register(mine, world.alice, 2)
    world.register(other, world.bob, 1)
    world.evm.send(world.registry.functions.revoke(mine), world.alice)
    world.register(other, world.bob, 2)
    assert {token: peer.key for token, peer in peers(world.registry).items()} == {other: key(2)}


def test_a_key_whose_binding_no_longer_counts_is_taken_over(world: World) -> None:
    mine, other = world.mint(world.alice), world.mint(world.bob)
    world.register(mine, world.alice, 1)
    world.sell(mine, world.alice, world.carol)
    receipt = world.evm.send(world.registry.functions.register(other, key(1)), world.bob)
    assert [name for name, *_ in events(world.registry, receipt)] == ["KeyRevoked", "SlotFreed", "KeyRegistered"]
    assert set(peers(world.registry)) == {other}
    assert world.registry.functions.slotOf(mine).call() == 0
    world.sell(mine, world.carol, world.alice)  # even when the pass comes back
    assert set(peers(world.registry)) == {other}


def test_a_key_moves_with_the_pass_when_the_new_holder_wants_it(world: World) -> None:
    token = world.mint(world.alice)
    old = world.register(token, world.alice, 1)
    world.sell(token, world.alice, world.bob)
    new = world.register(token, world.bob, 1)
    assert new != old
    assert world.registry.functions.tokenOf(key(1)).call() == [True, token]
    assert peers(world.registry)[token].slot == new


def test_registering_the_same_key_again_changes_nothing(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    before = peers(world.registry)
    world.register(token, world.alice, 1)
    assert peers(world.registry) == before
    assert world.registry.functions.tokenOf(key(1)).call() == [True, token]
