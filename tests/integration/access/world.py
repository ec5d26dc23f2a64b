"""A chain, who holds passes of it, and a node's agent that follows it on a WireGuard interface in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from berth.access.model import AccessList
from berth.access.policy import BreakerRule, Freshness
from berth.access.read import read_access_list
from berth.chain.access_pass import AccessPass
from berth.chain.anvil import Anvil, accounts_key
from berth.chain.dev import Wallet, fresh_public_key, fund, mint
from berth.chain.endpoint import Endpoint
from berth.chain.heads import websocket_url
from berth.chain.key_registry import KeyRegistry
from berth.chain.quorum import Quorum
from berth.chain.seed import Contracts
from berth.chain.transactions import Sender
from berth.vpn.agent import Agent
from berth.vpn.follower import Follower, FollowRule, Timers
from berth.vpn.metrics import NodeMetrics
from berth.vpn.source import ChainSource
from berth.vpn.store import Store
from berth.vpn.wireguard import WireGuard
from tests.unit.vpn.fakes import FakeGround, FakeWg, key

subnet = IPv4Network("10.77.0.0/16")


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
        self.counts = CollectorRegistry()
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

    def rekey(self, token: int) -> None:
        """Its holder registers another key."""
        wallet, key = self.members[token][0], fresh_public_key()
        self.registry.register(Sender(self.endpoint, wallet.key), token, key)
        self.members[token] = (wallet, key)

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
