"""AccessPass: minting, rental and expiry."""

from __future__ import annotations

import base64
import json

import pytest

from tests.unit.contracts.conftest import World
from tests.unit.contracts.evm import ZERO, Evm, events

LAST = 2**48 - 1


def test_the_operator_mints_passes_from_one_on(world: World) -> None:
    assert [world.mint(world.alice), world.mint(world.bob)] == [1, 2]
    assert world.passes.functions.ownerOf(2).call() == world.bob
    assert world.passes.functions.expiresAt(1).call() == 0
    refused = ("OwnableUnauthorizedAccount", world.alice)
    assert world.evm.refusal(world.passes.functions.mint(world.alice), world.alice) == refused
    assert world.evm.refusal(world.passes.functions.mintUntil(world.alice, 2**40), world.alice) == refused


def test_the_operator_is_an_argument_and_changes_in_two_steps(evm: Evm) -> None:
    deployer, operator, successor = evm.accounts[:3]
    passes = evm.deploy("AccessPass", "Berth Pass", "BERTH", operator, by=deployer)
    assert passes.functions.owner().call() == operator
    evm.send(passes.functions.transferOwnership(successor), operator)
    assert passes.functions.owner().call() == operator
    evm.send(passes.functions.acceptOwnership(), successor)
    assert passes.functions.owner().call() == successor
    assert evm.deploy_refusal("AccessPass", "Berth Pass", "BERTH", ZERO) == ("OwnableInvalidOwner", ZERO)


def test_a_contract_that_cannot_hold_passes_gets_none(world: World) -> None:
    registry = world.registry.address
    assert world.evm.refusal(world.passes.functions.mint(registry), world.operator) == (
        "ERC721InvalidReceiver",
        registry,
    )
    wallet = world.evm.deploy("test/SmartWallet", world.alice)
    assert world.mint(wallet.address) == 1


@pytest.mark.parametrize("offset", [-1_000, 0])
def test_an_expiry_lies_in_the_future(world: World, offset: int) -> None:
    expires = world.evm.now + offset
    refused = world.evm.refusal(world.passes.functions.mintUntil(world.alice, expires), world.operator)
    assert refused == ("ExpiryNotInFuture", expires)
    assert world.evm.refusal(world.passes.functions.mintUntil(world.alice, 0), world.operator)[0] == "ExpiryNotInFuture"


@pytest.mark.parametrize(
    ("interface", "supported"),
    [
        ("01ffc9a7", True),  # ERC-165
        ("80ac58cd", True),  # ERC-721
        ("5b5e139f", True),  # ERC-721 metadata
        ("ad092b5c", True),  # ERC-4907
        ("8c65f84d", True),  # ERC-5643
        ("ffffffff", False),
        ("780e9d63", False),  # ERC-721 enumerable
    ],
)
def test_interfaces(world: World, interface: str, supported: bool) -> None:
    assert world.passes.functions.supportsInterface(bytes.fromhex(interface)).call() is supported


def test_a_rental_lasts_until_its_term(world: World) -> None:
    token = world.mint(world.alice)
    end = world.evm.now + 100
    receipt = world.evm.send(world.passes.functions.setUser(token, world.bob, end), world.alice)
    assert events(world.passes, receipt) == [("UpdateUser", token, world.bob, end)]
    assert world.passes.functions.userExpires(token).call() == end
    world.evm.travel(end - 1)
    assert world.passes.functions.userOf(token).call() == world.bob
    world.evm.travel(end)
    assert world.passes.functions.userOf(token).call() == ZERO


def test_who_may_rent_a_pass_out(world: World) -> None:
    token = world.mint(world.alice)
    set_user = world.passes.functions.setUser(token, world.carol, 2**40)
    refused = ("ERC721InsufficientApproval", world.bob, token)
    assert world.evm.refusal(set_user, world.bob) == refused
    assert world.evm.refusal(set_user, world.operator)[0] == "ERC721InsufficientApproval"
    with world.evm.undone():
        world.evm.send(world.passes.functions.approve(world.bob, token), world.alice)
        world.evm.send(set_user, world.bob)
    world.evm.send(world.passes.functions.setApprovalForAll(world.bob, True), world.alice)
    world.evm.send(set_user, world.bob)
    # The user holds the pass but does not own it.
    assert world.evm.refusal(world.passes.functions.setUser(token, world.bob, 2**40), world.carol)[0] == refused[0]
    assert world.evm.refusal(world.passes.functions.setUser(99, world.bob, 2**40), world.alice) == (
        "ERC721NonexistentToken",
        99,
    )


def test_a_term_is_replaced_or_ended(world: World) -> None:
    token = world.mint(world.alice)
    world.rent(token, world.alice, world.bob, 2**40)
    world.rent(token, world.alice, world.carol, 2**41)
    assert world.passes.functions.userOf(token).call() == world.carol
    world.rent(token, world.alice, ZERO, 2**41)
    assert world.passes.functions.userOf(token).call() == ZERO
    assert world.passes.functions.userExpires(token).call() == 0


def test_a_term_for_ever_is_cut_to_what_is_stored(world: World) -> None:
    token = world.mint(world.alice)
    receipt = world.evm.send(world.passes.functions.setUser(token, world.bob, 2**64 - 1), world.alice)
    assert events(world.passes, receipt) == [("UpdateUser", token, world.bob, LAST)]
    assert world.passes.functions.userOf(token).call() == world.bob


def test_a_transfer_ends_the_rental_and_keeps_the_expiry(world: World) -> None:
    token = world.mint_until(world.alice, 2**40)
    world.rent(token, world.alice, world.bob, 2**40)
    receipt = world.evm.send(world.passes.functions.transferFrom(world.alice, world.carol, token), world.alice)
    assert ("UpdateUser", token, ZERO, 0) in events(world.passes, receipt)
    assert world.passes.functions.userOf(token).call() == ZERO
    assert world.passes.functions.expiresAt(token).call() == 2**40


def test_a_transfer_to_oneself_keeps_the_rental(world: World) -> None:
    token = world.mint(world.alice)
    world.rent(token, world.alice, world.bob, 2**40)
    world.sell(token, world.alice, world.alice)
    assert world.passes.functions.userOf(token).call() == world.bob


def test_renewing_adds_to_the_expiry(world: World) -> None:
    end = world.evm.now + 1_000
    token = world.mint_until(world.alice, end)
    receipt = world.evm.send(world.passes.functions.renewSubscription(token, 500), world.operator)
    assert events(world.passes, receipt) == [("SubscriptionUpdate", token, end + 500)]
    assert world.passes.functions.expiresAt(token).call() == end + 500


def test_renewing_an_expired_pass_starts_from_now(world: World) -> None:
    end = world.evm.now + 1_000
    token = world.mint_until(world.alice, end)
    world.evm.travel(end + 5_000)
    world.evm.send(world.passes.functions.renewSubscription(token, 500), world.operator)
    assert world.passes.functions.expiresAt(token).call() == end + 5_001 + 500


def test_what_cannot_be_renewed(world: World) -> None:
    renew = world.passes.functions.renewSubscription
    unending, ending = world.mint(world.alice), world.mint_until(world.alice, 2**40)
    assert world.evm.refusal(renew(unending, 1), world.operator) == ("NotRenewable", unending)
    assert world.evm.refusal(renew(99, 1), world.operator) == ("ERC721NonexistentToken", 99)
    assert world.evm.refusal(renew(ending, 2**48), world.operator) == ("DurationTooLong", 2**48)
    assert world.evm.refusal(renew(ending, 2**64 - 1), world.operator) == ("DurationTooLong", 2**64 - 1)
    assert world.evm.refusal(renew(ending, 1), world.alice) == ("OwnableUnauthorizedAccount", world.alice)
    assert world.evm.refusal(renew(ending, 1), world.operator, value=5) == ("PaymentNotAccepted", 5)
    is_renewable = world.passes.functions.isRenewable
    assert [is_renewable(token).call() for token in (unending, ending)] == [False, True]
    assert world.evm.refusal(is_renewable(99)) == ("ERC721NonexistentToken", 99)


def test_cancelling_ends_a_pass_at_once(world: World) -> None:
    for by in (world.alice, world.operator):
        for token in (world.mint(world.alice), world.mint_until(world.alice, 2**40)):
            receipt = world.evm.send(world.passes.functions.cancelSubscription(token), by)
            assert events(world.passes, receipt) == [("SubscriptionUpdate", token, world.evm.now)]
            assert world.passes.functions.expiresAt(token).call() == world.evm.now
            assert world.passes.functions.isRenewable(token).call()


def test_who_may_not_cancel(world: World) -> None:
    token = world.mint(world.alice)
    cancel = world.passes.functions.cancelSubscription(token)
    world.rent(token, world.alice, world.carol, 2**40)
    for other in (world.bob, world.carol):
        assert world.evm.refusal(cancel, other) == ("ERC721InsufficientApproval", other, token)
    assert world.evm.refusal(cancel, world.alice, value=1) == ("PaymentNotAccepted", 1)


def test_cancelling_an_expired_pass_keeps_its_date(world: World) -> None:
    end = world.evm.now + 100
    token = world.mint_until(world.alice, end)
    world.evm.travel(end + 50)
    world.evm.send(world.passes.functions.cancelSubscription(token), world.alice)
    assert world.passes.functions.expiresAt(token).call() == end


def test_a_pass_describes_itself(evm: Evm) -> None:
    operator = evm.accounts[0]
    passes = evm.deploy("AccessPass", 'Berth "Pass"', "BERTH", operator)
    evm.send(passes.functions.mintUntil(operator, 2**40), operator)
    kind, text = passes.functions.tokenURI(1).call().split(",")
    assert kind == "data:application/json;base64"
    described = json.loads(base64.b64decode(text))
    assert described["name"] == 'Berth "Pass" #1'
    assert described["attributes"] == [{"trait_type": "Expires", "display_type": "date", "value": 2**40}]
    assert evm.refusal(passes.functions.tokenURI(2)) == ("ERC721NonexistentToken", 2)
