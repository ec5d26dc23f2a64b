"""Members come and go, blocks are taken back, endpoints, commands and agents die: peers are always a block's list."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth.access.policy import BreakerRule
from berth.chain.anvil import Anvil
from berth.chain.dev import mine
from berth.chain.endpoint import Block
from berth.chain.errors import BlockGone, ChainError
from berth.chain.seed import deploy
from berth.vpn.errors import CommandFailed, VpnError
from berth.vpn.follower import FollowRule
from tests.integration.access.liar import Liar, liar, quorum
from tests.integration.access.world import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(180)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """On a chain of its own: what Anvil makes of snapshots after a reorganisation is no chain any more."""
    with Anvil() as anvil:
        made = World(anvil, deploy(anvil.endpoint()), tmp_path)
        yield made
        made.stop()


@pytest.fixture
def fickle(world: World) -> Iterator[Liar]:
    with liar(world.anvil.url) as made:
        yield made


never = BreakerRule(share=100)  # what goes here within a minute would wait for a person


class Mishaps:
    """Fails one command in so many, before or after it did its work, or has it do only half."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.on = chance, False

    def __call__(self, command: list[str]) -> None:
        if self.on and self.chance.random() < 0.15:
            raise CommandFailed("injected")


def campaign(world: World, fickle: Liar, seed: int, steps: int) -> None:
    """Members come and go, blocks are taken back, endpoints and commands fail; after each step the peers are those of
    the list that is applied, and that is the list of a block, no older than the one before unless it left the chain."""
    chance = random.Random(seed)
    world.follow(FollowRule(), chain=quorum([fickle], 1), breaker=never, sockets=[""])
    mishaps = Mishaps(chance)
    world.wg.before = mishaps
    applied: dict[str, dict[str, str]] = {}
    newest: Block | None = None
    digest = ""
    failed = 0
    alive: list[int] = []
    for _ in range(steps):
        what = chance.choices(["join", "sell", "mine", "reorg", "die"], [6, 4, 3, 2, 1])[0]
        if what == "join" or not alive:
            alive.append(world.join())
        elif what == "sell":
            token = alive.pop(chance.randrange(len(alive)))
            if token in world.list().by_token:
                world.sell(token)
        elif what == "mine":
            mine(world.endpoint, chance.randint(1, 80))
        elif what == "reorg":
            depth = chance.randint(1, 20)
            if world.endpoint.block().number > depth + 12:
                world.endpoint.request("anvil_reorg", depth, [])
                mine(world.endpoint)
        else:
            # The agent dies, and another one comes back on its volume; the interface is gone with it.
            world.store.close()
            world.wg.peers.clear()
            mishaps.on = False
            world.follow(FollowRule(), chain=quorum([fickle], 1), breaker=never, sockets=[""])
            world.wg.before = mishaps
        head = world.list()
        applied[head.digest] = head.peers
        mishaps.on = True
        fickle.gone = chance.random() < 0.15
        try:
            world.follower.step()
        except (ChainError, VpnError):
            failed += 1
        mishaps.on, fickle.gone = False, False
        shown = world.agent.applied
        assert shown is None or shown["digest"] in applied, "the list of no block"
        wanted = applied[shown["digest"]] if shown else {}
        if world.peers != wanted:
            # Neither the change nor the way back took effect: the audit finds it, and it is mended.
            world.agent.repair("test")
        assert world.peers == wanted
        if shown is None:
            continue
        now = Block(shown["block"]["number"], shown["block"]["hash"])
        if newest is not None and now.number < newest.number:
            # Steps may fail: the chain may have left that block some steps ago.  And an agent that comes back knows
            # the block at which its list last changed, not each one since: the list is the same.
            assert shown["digest"] == digest or not has(world, newest), "an older list"
        newest, digest = now, shown["digest"]
    world.follower.step()
    assert world.peers == world.list().peers


def has(world: World, block: Block) -> bool:
    """Whether the block is of the chain as it is now."""
    try:
        return world.endpoint.block(block.number) == block
    except BlockGone:
        return False


@pytest.mark.parametrize("seed", range(3))
def test_a_short_campaign(world: World, fickle: Liar, seed: int) -> None:
    campaign(world, fickle, seed, 20)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 300))
def test_two_hundred_campaigns(world: World, fickle: Liar, seed: int) -> None:
    campaign(world, fickle, seed, 25)
