"""KeyRegistry: the list in pages, and passes looked at by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.unit.contracts.conftest import World
from tests.unit.contracts.evm import PEER_TYPES, Peer, key, page, peers


@pytest.fixture(scope="module")
def seven_deployed(deployed: World) -> Iterator[World]:
    with deployed.evm.undone():
        registry = deployed.evm.deploy("KeyRegistry", deployed.passes.address, True, 0)
        made = replace(deployed, registry=registry)
        for number in range(1, 8):
            made.register(made.mint(made.alice), made.alice, number)
        for token in (2, 5):
            made.sell(token, made.alice, made.bob)
        yield made


@pytest.fixture
def seven(seven_deployed: World) -> Iterator[World]:
    """Seven bindings in slots 1 to 7; those in 2 and 5 do not count."""
    with seven_deployed.evm.undone():
        yield seven_deployed


def test_an_empty_list(world: World) -> None:
    found = page(world.registry)
    assert (found.peers, found.next, found.total) == ((), 0, 0)
    assert found.checksum == keccak(encode([PEER_TYPES], [[]]))


@pytest.mark.parametrize(
    ("cursor", "limit", "slots", "following"),
    [
        (0, 7, [1, 3, 4, 6, 7], 7),
        (0, 3, [1, 3], 3),
        (3, 3, [4, 6], 6),
        (6, 3, [7], 7),
        (1, 1, [], 2),
        (0, 0, [], 0),
        (3, 0, [], 3),
        (7, 5, [], 7),
        (8, 5, [], 7),
        (2**256 - 1, 2**256 - 1, [], 7),
        (0, 2**256 - 1, [1, 3, 4, 6, 7], 7),
        (6, 2**256 - 1, [7], 7),
    ],
)
def test_a_page(seven: World, cursor: int, limit: int, slots: list[int], following: int) -> None:
    found = page(seven.registry, cursor, limit)
    assert [peer.slot for peer in found.peers] == slots
    assert (found.next, found.total) == (following, 7)
    assert found.checksum == keccak(encode([PEER_TYPES], [[tuple(peer) for peer in found.peers]]))
    assert found.chain_id == seven.evm.w3.eth.chain_id


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_join_to_the_whole(seven: World, limit: int) -> None:
    joined: list[Peer] = []
    cursor, total = 0, 1
    while cursor != total:
        found = page(seven.registry, cursor, limit)
        joined += found.peers
        cursor, total = found.next, found.total
    assert tuple(joined) == page(seven.registry).peers


def test_an_old_block_still_has_its_list(seven: World) -> None:
    block = seven.evm.w3.eth.block_number
    before = seven.registry.functions.activePeers(0, 100).call()
    seven.sell(1, seven.alice, seven.bob)
    assert seven.registry.functions.activePeers(0, 100).call() != before
    assert seven.registry.functions.activePeers(0, 100).call(block_identifier=block) == before


def test_passes_by_name(seven: World) -> None:
    found, checksum, chain_id = seven.registry.functions.peersOf([7, 2, 99, 1]).call()
    listed = peers(seven.registry)
    assert [Peer(*peer) for peer in found] == [listed[7], listed[1]]
    assert checksum == keccak(encode([PEER_TYPES], [[tuple(peer) for peer in found]]))
    assert chain_id == seven.evm.w3.eth.chain_id


@pytest.mark.parametrize("token", [0, 2**80 - 1, 2**80, 2**255 + 7, 2**256 - 1], ids=hex)
def test_any_token_id_works(world: World, token: int) -> None:
    evm, alice, bob = world.evm, world.alice, world.bob
    plain = evm.deploy("test/PlainCollection")
    registry = evm.deploy("KeyRegistry", plain.address, False, 0)
    other = token ^ 2**80
    evm.send(plain.functions.mint(alice, token), alice)
    evm.send(plain.functions.mint(bob, other), bob)
    evm.send(registry.functions.register(token, key(1)), alice)
    assert peers(registry) == {token: Peer(token, alice, key(1), 1, 0)}
    assert registry.functions.tokenOf(key(1)).call() == [True, token]
    refused = evm.refusal(registry.functions.register(other, key(1)), bob)
    assert refused == ("KeyTaken", key(1), token)
    evm.send(registry.functions.revoke(token), alice)
    evm.send(registry.functions.register(other, key(1)), bob)  # in the same slot
    assert peers(registry) == {other: Peer(other, bob, key(1), 1, 0)}


def test_a_thousand_rows_fit_into_half_a_block(world: World) -> None:
    """30 million gas is what public endpoints and Anvil give a call; a row of the AccessPass asks three questions."""
    rows, row, rest = 20, 14_500, 80_000
    for number in range(rows):
        world.register(world.mint_until(world.alice, 2**40), world.alice, number)
    found = world.registry.functions.activePeers(0, rows).call({"gas": rest + rows * row})[0]
    assert len(found) == rows
    assert rest + 1_000 * row <= 30_000_000 / 2
