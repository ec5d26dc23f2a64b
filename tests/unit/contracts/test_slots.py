"""KeyRegistry: slots, their quarantine, and how long the list can get."""

from __future__ import annotations

from tests.unit.contracts.conftest import QUARANTINE, World
from tests.unit.contracts.evm import events, key, page, peers


def test_slots_count_up_from_one(world: World) -> None:
    tokens = [world.mint(world.alice) for _ in range(3)]
    assert [world.register(token, world.alice, token) for token in tokens] == [1, 2, 3]


def test_a_new_key_of_the_same_holder_keeps_the_slot(world: World) -> None:
    first, second = world.mint(world.alice), world.mint(world.alice)
    assert world.register(first, world.alice, 1) == 1
    assert world.register(second, world.alice, 2) == 2
    assert world.register(first, world.alice, 3) == 1
    assert page(world.registry).total == 2


def test_a_new_holder_gets_another_slot_and_the_old_one_rests(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    world.sell(token, world.alice, world.bob)
    receipt = world.evm.send(world.registry.functions.register(token, key(2)), world.bob)
    assert [event[:2] for event in events(world.registry, receipt)] == [
        ("KeyRevoked", token),
        ("SlotFreed", 1),
        ("KeyRegistered", token),
    ]
    assert peers(world.registry)[token].slot == 2


def test_a_slot_rests_for_the_quarantine_and_not_longer(world: World) -> None:
    token, other = world.mint(world.alice), world.mint(world.alice)
    world.register(token, world.alice, 1)
    world.evm.send(world.registry.functions.revoke(token), world.alice)
    available = world.evm.now + QUARANTINE
    world.evm.travel(available - 2)
    with world.evm.undone():
        assert world.register(other, world.alice, 2) == 2  # one second too early
    world.evm.travel(available - 1)
    assert world.register(other, world.alice, 2) == 1


def test_the_slot_that_rested_longest_is_used_first(world: World) -> None:
    tokens = [world.mint(world.alice) for _ in range(3)]
    for token in tokens:
        world.register(token, world.alice, token)
    for token in (tokens[1], tokens[0], tokens[2]):
        world.evm.send(world.registry.functions.revoke(token), world.alice)
    world.evm.travel(world.evm.now + QUARANTINE)
    assert [world.register(token, world.alice, token) for token in tokens] == [2, 1, 3]
    assert page(world.registry).total == 3


def test_only_slots_that_rested_enough_are_used(world: World) -> None:
    first, second, third, fourth = (world.mint(world.alice) for _ in range(4))
    world.register(first, world.alice, 1)
    world.register(second, world.alice, 2)
    world.evm.send(world.registry.functions.revoke(first), world.alice)
    world.evm.travel(world.evm.now + QUARANTINE - 10)
    world.evm.send(world.registry.functions.revoke(second), world.alice)
    world.evm.travel(world.evm.now + 10)
    assert world.register(third, world.alice, 3) == 1
    assert world.register(fourth, world.alice, 4) == 3


def test_without_quarantine_a_new_holder_still_gets_another_slot(world: World) -> None:
    registry = world.evm.deploy("KeyRegistry", world.passes.address, False, 0)
    token = world.mint(world.alice)
    slots = []
    for seller, buyer in ((world.alice, world.bob), (world.bob, world.alice)) * 3:
        world.evm.send(registry.functions.register(token, key(1)), seller)
        slots.append(registry.functions.slotOf(token).call())
        world.sell(token, seller, buyer)
    assert slots == [1, 2, 1, 2, 1, 2]
    assert page(registry).total == 2


def test_anyone_frees_a_binding_that_does_not_count(world: World) -> None:
    token = world.mint(world.alice)
    world.register(token, world.alice, 1)
    reclaim = world.registry.functions.reclaim(token)
    assert world.evm.refusal(reclaim, world.relay) == ("BindingCounts", token, world.alice)
    world.sell(token, world.alice, world.bob)
    receipt = world.evm.send(reclaim, world.relay)
    assert [name for name, *_ in events(world.registry, receipt)] == ["KeyRevoked", "SlotFreed"]
    assert world.evm.refusal(reclaim, world.relay) == ("NoBinding", token)
    world.evm.travel(world.evm.now + QUARANTINE)
    assert world.register(token, world.bob, 2) == 1


def test_an_expired_binding_can_be_freed_at_that_second(world: World) -> None:
    end = world.evm.now + 1_000
    token = world.mint_until(world.alice, end)
    world.register(token, world.alice, 1)
    reclaim = world.registry.functions.reclaim(token)
    world.evm.travel(end - 1)
    assert world.evm.refusal(reclaim, world.relay) == ("BindingCounts", token, world.alice)
    world.evm.travel(end)
    world.evm.send(reclaim, world.relay)


def test_the_list_grows_only_with_bindings_and_resting_slots(world: World) -> None:
    tokens = [world.mint(world.alice) for _ in range(3)]
    for _ in range(4):
        for token in tokens:
            world.register(token, world.alice, token)
        for token in tokens:
            world.evm.send(world.registry.functions.revoke(token), world.alice)
        world.evm.travel(world.evm.now + QUARANTINE)
    assert page(world.registry).total == 3


def test_one_pass_takes_so_many_slots_and_no_more(world: World) -> None:
    token, other = world.mint(world.alice), world.mint(world.alice)
    most = world.registry.functions.MAX_SLOTS().call()
    start = world.evm.now + 1
    for _ in range(most):
        world.register(token, world.alice, 1)
        world.evm.send(world.registry.functions.revoke(token), world.alice)
    refused = world.evm.refusal(world.registry.functions.register(token, key(1)), world.alice)
    assert refused == ("TooManySlots", token, start + QUARANTINE)
    assert page(world.registry).total == most
    world.register(other, world.alice, 2)  # another pass is not held up

    world.evm.travel(start + QUARANTINE)
    world.register(token, world.alice, 1)


def test_new_keys_are_not_limited(world: World) -> None:
    token = world.mint(world.alice)
    for number in range(world.registry.functions.MAX_SLOTS().call() + 2):
        assert world.register(token, world.alice, number) == 1


def test_a_quarantine_without_end_is_refused(world: World) -> None:
    collection = world.passes.address
    refused = ("QuarantineTooLong", 2**32)
    assert world.evm.deploy_refusal("KeyRegistry", collection, True, 2**32) == refused
    world.evm.deploy("KeyRegistry", collection, True, 2**32 - 1)
