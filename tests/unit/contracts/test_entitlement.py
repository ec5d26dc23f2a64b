"""KeyRegistry: a binding counts only while the one who made it is still entitled."""

from __future__ import annotations

from web3 import Web3

from tests.unit.contracts.conftest import World
from tests.unit.contracts.evm import ZERO, Peer, events, key, peers


def test_a_holder_registers_a_key(world: World) -> None:
    token = world.mint(world.alice)
    receipt = world.evm.send(world.registry.functions.register(token, key(1)), world.alice)
    assert events(world.registry, receipt) == [("KeyRegistered", token, world.alice, key(1), 1, ZERO)]
    assert peers(world.registry) == {token: Peer(token, world.alice, key(1), 1, 0)}


def test_nobody_else_registers_a_key(world: World) -> None:
    token = world.mint(world.alice)
    register = world.registry.functions.register
    assert world.evm.refusal(register(token, key(1)), world.bob) == ("NotHolder", token, world.bob, world.alice)
    assert world.evm.refusal(register(99, key(1)), world.bob) == ("NotHolder", 99, world.bob, ZERO)


def test_a_sale_revokes_by_itself(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    world.sell(token, world.alice, world.bob)
    assert peers(world.registry) == {}
    assert world.evm.refusal(world.registry.functions.register(token, key(1)), world.alice)[0] == "NotHolder"


def test_a_sale_of_one_pass_leaves_the_others(world: World) -> None:
    first, second = world.mint(world.alice), world.mint(world.alice)
    world.register(first, world.alice, 1)
    world.register(second, world.alice, 2)
    world.sell(first, world.alice, world.bob)
    assert peers(world.registry) == {second: Peer(second, world.alice, key(2), 2, 0)}


def test_a_user_stands_in_for_the_owner_until_the_term_ends(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    end = world.evm.now + 1_000
    world.rent(token, world.alice, world.bob, end)
    assert peers(world.registry) == {}
    assert world.registry.functions.holderOf(token).call() == world.bob
    refused = world.evm.refusal(world.registry.functions.register(token, key(3)), world.alice)
    assert refused == ("NotHolder", token, world.alice, world.bob)

    slot = world.register(token, world.bob, 2)
    assert peers(world.registry) == {token: Peer(token, world.bob, key(2), slot, end)}
    world.evm.travel(end - 1)
    assert peers(world.registry)[token].holder == world.bob
    world.evm.travel(end)
    assert peers(world.registry) == {}
    assert world.registry.functions.holderOf(token).call() == world.alice


def test_the_owner_is_back_after_a_rental_nobody_used(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    end = world.evm.now + 1_000
    world.rent(token, world.alice, world.bob, end)
    assert peers(world.registry) == {}
    world.evm.travel(end)
    assert peers(world.registry) == {token: Peer(token, world.alice, key(1), 1, 0)}


def test_a_transfer_ends_the_rental(world: World) -> None:
    token = world.mint(world.alice)
    world.rent(token, world.alice, world.bob, world.evm.now + 1_000)
    world.register(token, world.bob, 1)
    world.sell(token, world.alice, world.carol)
    assert peers(world.registry) == {}
    assert world.registry.functions.holderOf(token).call() == world.carol


def test_an_owner_who_is_the_user_as_well_has_no_term(world: World) -> None:
    token = world.mint(world.alice)
    end = world.evm.now + 1_000
    world.rent(token, world.alice, world.alice, end)
    world.register(token, world.alice, 1)
    assert peers(world.registry)[token].expires == 0
    world.evm.travel(end)
    assert token in peers(world.registry)


def test_a_pass_that_expires_counts_until_then(world: World) -> None:
    end = world.evm.now + 1_000
    token = world.mint_until(world.alice, end)
    world.register(token, world.alice, 1)
    assert peers(world.registry) == {token: Peer(token, world.alice, key(1), 1, end)}
    world.evm.travel(end - 1)
    assert token in peers(world.registry)
    world.evm.travel(end)
    assert peers(world.registry) == {}
    refused = world.evm.refusal(world.registry.functions.register(token, key(2)), world.alice)
    assert refused == ("PassExpired", token, end)


def test_a_renewed_pass_counts_again(world: World) -> None:
    end = world.evm.now + 1_000
    token = world.mint_until(world.alice, end)
    world.register(token, world.alice, 1)
    world.evm.travel(end)
    world.evm.send(world.passes.functions.renewSubscription(token, 500), world.operator)
    assert peers(world.registry) == {token: Peer(token, world.alice, key(1), 1, world.evm.now + 500)}


def test_a_cancelled_pass_counts_no_longer(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    world.evm.send(world.passes.functions.cancelSubscription(token), world.operator)
    assert peers(world.registry) == {}


def test_the_earlier_of_rental_and_expiry_is_the_end(world: World) -> None:
    start = world.evm.now
    short_pass = world.mint_until(world.alice, start + 1_000)
    short_rental = world.mint_until(world.alice, start + 2_000)
    world.rent(short_pass, world.alice, world.bob, start + 2_000)
    world.rent(short_rental, world.alice, world.bob, start + 1_500)
    world.register(short_pass, world.bob, 1)
    world.register(short_rental, world.bob, 2)
    found = peers(world.registry)
    assert (found[short_pass].expires, found[short_rental].expires) == (start + 1_000, start + 1_500)


def test_a_delegate_registers_for_the_holder(world: World) -> None:
    token = world.mint(world.alice)
    receipt = world.evm.send(world.registry.functions.setDelegate(token, world.bob), world.alice)
    assert events(world.registry, receipt) == [("DelegateSet", token, world.alice, world.bob)]
    assert world.registry.functions.delegateOf(token).call() == world.bob
    receipt = world.evm.send(world.registry.functions.register(token, key(1)), world.bob)
    assert events(world.registry, receipt) == [("KeyRegistered", token, world.alice, key(1), 1, world.bob)]
    assert peers(world.registry) == {token: Peer(token, world.alice, key(1), 1, 0)}


def test_a_delegate_s_binding_ends_with_the_delegation(world: World) -> None:
    token = world.mint(world.alice)
    for successor in (world.carol, ZERO):
        world.evm.send(world.registry.functions.setDelegate(token, world.bob), world.alice)
        world.register(token, world.bob, 1)
        assert token in peers(world.registry)
        world.evm.send(world.registry.functions.setDelegate(token, successor), world.alice)
        assert peers(world.registry) == {}
    assert world.evm.refusal(world.registry.functions.register(token, key(1)), world.bob)[0] == "NotHolder"


def test_a_delegation_does_not_touch_the_holder_s_own_binding(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    world.evm.send(world.registry.functions.setDelegate(token, world.bob), world.alice)
    world.evm.send(world.registry.functions.setDelegate(token, ZERO), world.alice)
    assert token in peers(world.registry)


def test_the_holder_takes_over_from_the_delegate_and_keeps_the_slot(world: World) -> None:
    token = world.mint(world.alice)
    world.evm.send(world.registry.functions.setDelegate(token, world.bob), world.alice)
    assert world.register(token, world.bob, 1) == 1
    assert world.register(token, world.alice, 2) == 1
    world.evm.send(world.registry.functions.setDelegate(token, ZERO), world.alice)
    assert peers(world.registry) == {token: Peer(token, world.alice, key(2), 1, 0)}


def test_a_sale_ends_a_delegation(world: World) -> None:
    token = world.mint(world.alice)
    world.evm.send(world.registry.functions.setDelegate(token, world.bob), world.alice)
    world.register(token, world.bob, 1)
    world.sell(token, world.alice, world.carol)
    assert peers(world.registry) == {}
    assert world.registry.functions.delegateOf(token).call() == ZERO
    refused = world.evm.refusal(world.registry.functions.register(token, key(2)), world.bob)
    assert refused == ("NotHolder", token, world.bob, world.carol)


def test_only_the_holder_names_a_delegate(world: World) -> None:
    token = world.mint(world.alice)
    world.evm.send(world.registry.functions.setDelegate(token, world.bob), world.alice)
    for other in (world.bob, world.carol):
        refused = world.evm.refusal(world.registry.functions.setDelegate(token, other), other)
        assert refused == ("NotHolder", token, other, world.alice)
    assert world.evm.refusal(world.registry.functions.setDelegate(99, ZERO), world.bob)[0] == "NotHolder"


def test_a_registry_without_delegates_takes_none(world: World) -> None:
    registry = world.evm.deploy("KeyRegistry", world.passes.address, False, 0)
    token = world.mint(world.alice)
    assert world.evm.refusal(registry.functions.setDelegate(token, world.bob), world.alice) == ("DelegatesNotAllowed",)
    assert world.evm.refusal(registry.functions.register(token, key(1)), world.bob)[0] == "NotHolder"


def test_revoking_ends_the_binding(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    receipt = world.evm.send(world.registry.functions.revoke(token), world.alice)
    assert events(world.registry, receipt) == [
        ("KeyRevoked", token, world.alice, key(1), 1),
        ("SlotFreed", 1, world.evm.now + world.registry.functions.quarantine().call()),
    ]
    assert peers(world.registry) == {}
    assert world.registry.functions.tokenOf(key(1)).call() == [False, 0]
    assert world.evm.refusal(world.registry.functions.revoke(token), world.alice) == ("NoBinding", token)


def test_who_may_revoke(world: World) -> None:
    token = world.mint(world.alice)
    revoke = world.registry.functions.revoke(token)
    world.register(token, world.alice, 1)
    assert world.evm.refusal(revoke, world.bob) == ("NotHolder", token, world.bob, world.alice)
    world.evm.send(world.registry.functions.setDelegate(token, world.bob), world.alice)
    world.evm.send(revoke, world.bob)  # the holder's delegate

    world.register(token, world.bob, 1)
    world.evm.send(world.registry.functions.setDelegate(token, ZERO), world.alice)
    world.evm.send(revoke, world.bob)  # the delegate who made it, though no longer one

    world.register(token, world.alice, 1)
    world.sell(token, world.alice, world.carol)
    assert world.evm.refusal(revoke, world.bob) == ("NotHolder", token, world.bob, world.carol)
    with world.evm.undone():
        world.evm.send(revoke, world.alice)  # the one it was made for
    world.evm.send(revoke, world.carol)  # the holder now


def test_the_zero_address_is_nobody_s_delegate(world: World) -> None:
    """A simulated call comes from there by default: it must be told what a transaction would be told."""
    token = world.mint(world.alice)
    world.evm.w3.eth.send_transaction({"from": world.alice, "to": ZERO, "value": Web3.to_wei(1, "ether")})
    refused = ("NotHolder", token, ZERO, world.alice)
    assert world.evm.refusal(world.registry.functions.register(token, key(1)), ZERO) == refused
    world.register(token, world.alice, 1)
    assert world.evm.refusal(world.registry.functions.revoke(token), ZERO) == refused
