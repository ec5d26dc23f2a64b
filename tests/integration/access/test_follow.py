"""A node's agent that follows a real chain, on a WireGuard interface in memory: the list is always that of a block."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth.access.policy import BreakerRule, Freshness
from berth.chain.anvil import Anvil
from berth.chain.dev import mine
from berth.chain.seed import Contracts, deploy
from berth.chain.transactions import Sender
from berth.vpn.follower import FollowRule
from tests.integration.access.world import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with Anvil("--slots-in-an-epoch", "1") as anvil:
        yield anvil


@pytest.fixture
def contracts(anvil: Anvil) -> Contracts:
    return deploy(anvil.endpoint(), delegates=True)


@pytest.fixture
def world(anvil: Anvil, contracts: Contracts, tmp_path: Path) -> Iterator[World]:
    made = World(anvil, contracts, tmp_path)
    yield made
    made.stop()


def test_who_comes_and_goes_is_followed_block_by_block(world: World) -> None:
    world.join()
    world.follow()
    world.start()
    world.settled()
    tokens = [world.join() for _ in range(3)]
    world.settled()
    world.sell(tokens[0])
    world.settled()
    world.registry.revoke(Sender(world.endpoint, world.members[tokens[1]][0].key), tokens[1])
    world.settled()
    assert world.counted("list_reads", reason="start") == 1
    assert sum(world.counted("list_reads", reason=r) for r in ("gap", "reorganisation", "many")) == 0
    world.until(lambda: "WebSocket" in world.follower.check())


def test_without_a_subscription_heads_are_asked_for(world: World) -> None:
    world.follow(sockets=[""])
    world.start()
    world.join()
    world.settled()
    assert "polling" in world.follower.check()


def test_blocks_that_were_missed_are_made_up_for(world: World) -> None:
    world.follow()
    world.follower.step()
    first, second = world.join(), world.join()
    world.sell(first)
    mine(world.endpoint, 10)
    world.follower.step()
    assert world.peers == world.list().peers == {world.members[second][1]: world.list().by_token[second].address}
    mine(world.endpoint, 100)
    world.join()
    world.follower.step()
    assert world.peers == world.list().peers
    assert world.counted("list_reads", reason="gap") == 1


@pytest.mark.parametrize("depth", [1, 5, 20])
def test_a_reorganisation_takes_back_what_it_took_back(world: World, depth: int) -> None:
    world.join()
    mine(world.endpoint, 20)
    world.follow()
    world.start()
    world.settled()
    gone = world.join()
    mine(world.endpoint, depth - 1)
    world.settled()
    world.endpoint.request("anvil_reorg", depth, [])
    mine(world.endpoint)
    world.settled()
    assert (world.members[gone][1] in world.peers) == (gone in world.list().by_token)
    world.join()
    world.settled()


def test_a_pass_ends_to_the_second_without_a_block(world: World) -> None:
    world.follow()
    world.start()
    now = int(time.time())
    world.endpoint.request("evm_setNextBlockTimestamp", now)
    token = world.join(expires=now + 4)
    world.until(lambda: world.members[token][1] in world.peers)
    world.until(lambda: not world.peers, seconds=8)
    assert 0 <= time.time() - (now + 4) < 0.5
    assert token in world.agent._applied.current.entries  # type: ignore[union-attr]  # its block has it still


def test_a_change_without_an_event_is_found_by_the_audit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from berth.access import follow
    from berth.chain.logs import nothing

    world.follow()
    world.follower.step()
    monkeypatch.setattr(follow, "touched", lambda *_: nothing)
    token = world.join()
    world.follower.step()
    assert world.peers == {}
    assert world.follower.audit() == {token}
    world.follower.step(suspects={token})
    assert world.peers == world.list().peers
    assert world.counted("audit_suspects") == 1


def test_removals_are_believed_sooner_than_additions(world: World) -> None:
    stays = world.join()
    mine(world.endpoint, 3)
    world.follow(FollowRule(finality="finalized", removal="latest", poll=0.2))
    world.follower.step()
    assert set(world.peers) == {world.members[stays][1]}
    comes = world.join()
    world.follower.step()
    assert world.members[comes][1] not in world.peers
    world.sell(stays)
    world.follower.step()
    assert world.peers == {}
    applied = world.agent.applied
    assert applied is not None
    assert applied["removalBlock"]["number"] > applied["block"]["number"]
    assert applied["receipt"]["removalBlock"] == applied["removalBlock"]
    mine(world.endpoint, 3)
    world.follower.step()
    assert set(world.peers) == {world.members[comes][1]}


def test_a_finality_that_stands_still_confirms_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that goes on must not make a list fresh whose removals come from a block of long ago."""
    now = [time.time()]
    world.join()
    mine(world.endpoint, 3)
    rule = FollowRule(finality="finalized", removal="finalized", block_seconds=12, poll=0.2)
    world.follow(rule, freshness=Freshness(60), clock=lambda: now[0])
    world.follower.step()
    header, still = world.chain.header, world.chain.header("finalized")
    monkeypatch.setattr(world.chain, "header", lambda at="latest": still if at == "finalized" else header(at))

    def later(seconds: float) -> None:
        now[0] += seconds
        world.endpoint.request("evm_setNextBlockTimestamp", int(now[0]))
        mine(world.endpoint, 1)
        world.follower.step()
        world.agent.tick()

    later(900)
    assert world.peers
    later(70)
    assert world.agent.closed
    assert world.peers == {}


def test_while_the_chain_is_away_peers_stay_and_then_go(world: World) -> None:
    now = [time.time()]
    world.follow(freshness=Freshness(60), clock=lambda: now[0])
    world.join()
    world.follower.step()
    kept = world.peers
    world.anvil.stop()
    with pytest.raises(Exception, match="cannot be reached"):
        world.follower.step()
    now[0] += 59
    world.agent.tick()
    assert world.peers == kept
    now[0] += 2
    world.agent.tick()
    assert world.peers == {}
    with pytest.raises(Exception, match="all peers were put out"):
        world.agent.check()


def test_a_chain_started_anew_is_followed(world: World, contracts: Contracts) -> None:
    world.join()
    mine(world.endpoint, 30)
    world.follow()
    world.follower.step()
    assert world.peers
    port = world.anvil.port
    world.anvil.stop()
    # Another genesis: its block 0 has the second at which it was started.
    with Anvil("--timestamp", str(int(time.time()) + 60), port=port) as again:
        world.endpoint = again.endpoint()
        assert deploy(again.endpoint(), delegates=True) == contracts
        world.follower.step()
        assert world.peers == {}


def test_a_mass_removal_waits_for_a_person(world: World) -> None:
    world.follow(breaker=BreakerRule(share=50, at_least=3, wait=600))
    tokens = [world.join() for _ in range(4)]
    world.follower.step()
    assert len(world.peers) == 4
    for token in tokens[:3]:
        world.sell(token)
    comes = world.join()
    world.follower.step()
    assert len(world.peers) == 5
    assert world.members[comes][1] in world.peers
    waiting = world.agent.breaker
    assert (waiting["state"], waiting["held"]) == ("waiting", 3)
    world.agent.approve(waiting["id"])
    assert world.peers == world.list().peers
    assert world.agent.breaker["state"] == "closed"


def test_new_keys_for_everybody_wait_for_a_person(world: World) -> None:
    world.follow(breaker=BreakerRule(share=50, at_least=3, wait=600))
    tokens = [world.join() for _ in range(4)]
    world.follower.step()
    before = dict(world.peers)
    for token in tokens:
        world.rekey(token)
    world.follower.step()
    assert world.peers == before
    # Another agent on the same volume, and a new interface: nobody gets by with a restart.
    world.store.close()
    world.wg.peers.clear()
    world.follow(breaker=BreakerRule(share=50, at_least=3, wait=600))
    world.follower.step()
    assert world.peers == before
    world.agent.approve(world.agent.breaker["id"])
    assert world.peers == world.list().peers
