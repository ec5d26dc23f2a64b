"""A node's agent that follows a real chain, on a WireGuard interface in memory: the list is always that of a block."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from berth.access.model import AccessList
from berth.access.policy import BreakerRule, Freshness
from berth.access.read import read_access_list
from berth.chain.access_pass import AccessPass
from berth.chain.anvil import Anvil, accounts_key
from berth.chain.dev import Wallet, fresh_public_key, fund, mine, mint
from berth.chain.endpoint import Endpoint
from berth.chain.heads import websocket_url
from berth.chain.key_registry import KeyRegistry
from berth.chain.quorum import Quorum
from berth.chain.seed import Contracts, deploy
from berth.chain.transactions import Sender
from berth.vpn.agent import Agent
from berth.vpn.follower import Follower, FollowRule, Timers
from berth.vpn.metrics import NodeMetrics
from berth.vpn.source import ChainSource
from berth.vpn.store import Store
from berth.vpn.wireguard import WireGuard
from tests.unit.vpn.fakes import FakeGround, FakeWg, key

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]
subnet = IPv4Network("10.77.0.0/16")


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with Anvil("--slots-in-an-epoch", "1") as anvil:
        yield anvil


@pytest.fixture
def contracts(anvil: Anvil) -> Contracts:
    return deploy(anvil.endpoint(), delegates=True)


class World:
    """A chain, its members, and an agent on it."""

    def __init__(self, anvil: Anvil, contracts: Contracts, volume: Path) -> None:
        self.anvil, self.contracts, self.volume = anvil, contracts, volume
        self.endpoint = anvil.endpoint()
        self.registry = KeyRegistry(self.endpoint, contracts.key_registry)
        self.members: dict[int, tuple[Wallet, str]] = {}
        self.wg = FakeWg()
        self.counts = CollectorRegistry()

    def follow(
        self,
        rule: FollowRule | None = None,
        chain: Quorum | None = None,
        breaker: BreakerRule | None = None,
        freshness: Freshness | None = None,
        sockets: list[str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rule = rule or FollowRule(poll=0.2)
        self.chain = chain or Quorum([Endpoint(self.anvil.url, 31337)])
        self.metrics = NodeMetrics(self.counts)
        self.store = Store(self.volume)
        self.agent = Agent(
            name="node-1",
            public_key=key("node"),
            port=51820,
            registry=self.contracts.key_registry,
            chain_id=31337,
            node=FakeGround(),
            peers=WireGuard("wg0", self.wg),
            source=ChainSource(self.chain, self.contracts.key_registry, subnet),
            store=self.store,
            metrics=self.metrics,
            follows=True,
            breaker=breaker,
            freshness=freshness,
            clock=clock,
        )
        urls = sockets if sockets is not None else [websocket_url(m.url) for m in self.chain.members]
        self.follower = Follower(
            self.agent, self.chain, urls, self.contracts.key_registry, subnet, self.rule, self.metrics, clock
        )
        self.timers = Timers(self.agent, clock)
        self.agent.start()

    def start(self) -> None:
        self.follower.start()
        self.timers.start()

    def stop(self) -> None:
        self.follower.stop()
        self.timers.stop()

    def join(self, expires: int = 0) -> int:
        wallet, public = Wallet.fresh(), fresh_public_key()
        fund(self.endpoint, wallet.address)
        token = mint(self.endpoint, self.contracts.access_pass, accounts_key, wallet.address, expires)
        self.registry.register(Sender(self.endpoint, wallet.key), token, public)
        self.members[token] = (wallet, public)
        return token

    def sell(self, token: int) -> None:
        sender = Sender(self.endpoint, self.members[token][0].key)
        AccessPass(self.endpoint, self.contracts.access_pass).transfer(sender, Wallet.fresh().address, token)

    def list(self) -> AccessList:
        return read_access_list(self.endpoint, self.contracts.key_registry, subnet)

    @property
    def peers(self) -> dict[str, str]:
        return WireGuard("wg0", self.wg).read().addresses

    def until(self, condition: Callable[[], Any], seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.follower._fault, self.peers, self.list().peers)
            time.sleep(0.01)

    def settled(self) -> None:
        """The node has the list of the head, digest and all."""
        self.until(lambda: self.agent.applied and self.agent.applied["digest"] == self.list().digest)
        assert self.peers == self.list().peers

    def counted(self, name: str, **labels: str) -> float:
        return self.counts.get_sample_value(f"berth_node_{name}_total", labels) or 0


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
