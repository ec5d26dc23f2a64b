"""Puts a node together from its settings, and runs it."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Protocol

from prometheus_client import CollectorRegistry

from berth.access.diff import Changes
from berth.access.policy import BreakerRule, Freshness
from berth.chain.endpoint import Endpoint, TimeLimits
from berth.chain.quorum import Quorum
from berth.chain.watch import ChainWatch
from berth.kit import logging, metrics, serve
from berth.kit.health import Check, Health
from berth.vpn import api
from berth.vpn.agent import Agent
from berth.vpn.announce import Announcer
from berth.vpn.audit import Auditor, Wanted
from berth.vpn.command import run
from berth.vpn.firewall import Firewall, Policy
from berth.vpn.follower import Follower, FollowRule, Timers
from berth.vpn.heal import Healer
from berth.vpn.interface import Interface, answer_limit
from berth.vpn.keys import ensure_keys, private_name
from berth.vpn.metrics import NodeMetrics
from berth.vpn.offer import Offer
from berth.vpn.owners import Owners
from berth.vpn.sampler import Sampler
from berth.vpn.settings import NodeSettings
from berth.vpn.source import ChainSource
from berth.vpn.stats import Stats
from berth.vpn.store import Store
from berth.vpn.uapi import Uapi
from berth.vpn.wireguard import WireGuard

# Seconds for which one thread keeps the others from running: an audit must not hold up a change.
_switch: Final = 0.0005


class Part(Protocol):
    """What has threads of its own."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Told(Wanted):
    """What should be there; each change has it audited soon."""

    poke: Callable[[], None] = staticmethod(lambda: None)

    def reset(self, peers: Mapping[str, str]) -> None:
        super().reset(peers)
        # A list is no garbage, and looking through it for some holds up every thread: 0.1 s where it has 10,000 passes.
        gc.collect()
        gc.freeze()

    def change(self, changes: Changes) -> None:
        super().change(changes)
        self.poke()


class Ground:
    """Interface and firewall, in this order of safety: no peer before there are rules."""

    def __init__(self, interface: Interface, firewall: Firewall) -> None:
        self._interface, self._firewall = interface, firewall

    def ensure(self) -> None:
        self._firewall.ensure()
        self._interface.ensure()


def serve_node(settings: NodeSettings) -> None:
    """Run a node until SIGTERM or SIGINT."""
    sys.setswitchinterval(_switch)
    log = logging.get_logger("node")
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    registry = metrics.registry()
    with ExitStack() as ending:
        node = Node(settings, registry, ending.callback)
        node.start()
        # The tunnel's interface gets no listener, so its clients find none even if the firewall were gone.
        devices = [name for _, name in socket.if_nameindex() if name != settings.interface]
        listeners = [serve.listen(settings.control_port, device=device) for device in devices]
        log.info(
            "node is serving",
            node=settings.node_id,
            public_key=node.public_key,
            port=settings.control_port,
            devices=devices,
            follows=settings.auto_sync,
        )
        serve.run(node.app, listeners)
    log.info("node has stopped")


class Node:
    """All parts of one node; ``at_end`` takes what has to be done when it stops, last one first."""

    def __init__(
        self, settings: NodeSettings, registry: CollectorRegistry, at_end: Callable[[Callable[[], object]], object]
    ) -> None:
        self._settings, self._at_end = settings, at_end
        self._counts = NodeMetrics(registry)
        self.public_key = ensure_keys(settings.state_dir, settings.wireguard_private_key)
        owners = Owners()
        addresses = [f"{settings.address}/{settings.subnet.prefixlen}"]
        if settings.subnet6:
            addresses.append(f"{settings.address6}/{settings.subnet6.prefixlen}")
        self._interface = Interface(
            settings.interface,
            addresses,
            settings.listen_port,
            settings.mtu,
            settings.state_dir / private_name,
            self.public_key,
            run,
        )
        firewall = Firewall(
            Policy(
                settings.interface,
                settings.subnet,
                settings.address,
                settings.listen_port,
                settings.control_port,
                settings.targets,
                settings.sources,
                settings.subnet6,
                settings.address6,
                settings.gateway_port if settings.gateway_socket else None,
            ),
            run,
        )
        device = WireGuard(settings.interface, run, settings.subnets)
        wanted = Told(settings.subnets)
        chain = self._chain()
        self._store = Store(settings.state_dir)
        self._agent = Agent(
            name=settings.node_id,
            public_key=self.public_key,
            port=settings.listen_port,
            registry=settings.key_registry,
            chain_id=settings.chain,
            node=Ground(self._interface, firewall),
            peers=device,
            source=ChainSource(chain, settings.key_registry, settings.subnet),
            store=self._store,
            metrics=self._counts,
            follows=settings.auto_sync,
            breaker=BreakerRule(settings.breaker_share, settings.breaker_at_least, settings.breaker_wait),
            freshness=Freshness(settings.max_stale, settings.outage_policy),
            watched=wanted,
            owners=owners,
        )
        # Who heals asks with little patience: a wireguard-go that hangs must not keep it as long as a change may take.
        quick = WireGuard(settings.interface, run, settings.subnets, Uapi(settings.interface, seconds=answer_limit))
        self._healer = Healer([self._interface.verify, firewall.check], self._agent.repair, quick)

        def audited(reason: str) -> bool:
            # A list that is applied whole takes a while, and looks like somebody else's work until it is done.
            amiss = self._agent.settled(lambda: device.fingerprint() != wanted.snapshot())
            if amiss:
                self._healer.repair(reason)
            return amiss

        self._auditor = Auditor(device, wanted, audited)
        wanted.poke = self._auditor.poke
        self._follower = self._make_follower(chain) if settings.auto_sync else None
        self._watch = None if settings.auto_sync else self._make_watch()
        self._timers = Timers(self._agent)
        self._sampler = Sampler(device, lambda: self._agent.peers, self._counts)
        self._announcer = Announcer(settings, self.public_key) if settings.contract_private_key else None
        self._offer = self._make_offer(settings.gateway_socket, owners) if settings.gateway_socket else None
        health = Health(
            [
                Check("interface", self._interface.check, live=True),
                Check("firewall", firewall.check),
                Check("peers", self._auditor.check, required=False),
                Check("list", self._agent.check, required=settings.auto_sync),
                *self._chain_checks(),
                *([Check("gateway", self._offer.check, required=False)] if self._offer else []),
            ]
        )
        stats = Stats(
            settings,
            self.public_key,
            self._interface,
            self._agent,
            self._follower,
            self._sampler,
            self._counts,
            health,
        )
        self.app = api.build(self._agent, settings.control_token, health, self._counts, registry, stats)

    def start(self) -> None:
        """Interface, last good list, and then everything that changes it."""
        self._at_end(self._interface.remove)
        self._at_end(self._store.close)
        self._agent.start()
        for part in self._parts():
            self._at_end(part.stop)
            part.start()

    def _parts(self) -> list[Part]:
        """What runs beside the API, in the order in which it starts."""
        always: list[Part] = [self._auditor, self._healer, self._timers, self._sampler]
        some = (self._follower, self._watch, self._announcer, self._offer)
        return always + [part for part in some if part is not None]

    def _chain(self) -> Quorum:
        settings = self._settings
        # Shorter than for a person who waits: whoever follows asks the next endpoint, or again.
        limits = TimeLimits(connect=2.0, call=10.0)
        members = [Endpoint(url, settings.chain, limits) for url in settings.endpoints]
        return Quorum(members, settings.quorum, lambda url: self._counts.disagreements.labels(url).inc())

    def _make_follower(self, chain: Quorum) -> Follower:
        settings = self._settings
        rule = FollowRule(
            settings.additions_at,
            settings.removals_at,
            settings.sync_interval / 1000,
            settings.block_seconds,
            min(max(settings.block_seconds / 2, 0.5), 2.0),
        )
        return Follower(
            self._agent, chain, settings.sockets, settings.key_registry, settings.subnet, rule, self._counts
        )

    def _make_offer(self, path: Path, owners: Owners) -> Offer:
        settings = self._settings
        return Offer(settings.node_id, path, settings.addresses, settings.gateway_port, settings.subnets, owners)

    def _make_watch(self) -> ChainWatch:
        settings = self._settings
        quick = Endpoint(settings.endpoints[0], settings.chain, TimeLimits(connect=2.0, call=5.0))
        return ChainWatch(quick, lambda head: self._counts.head.set(head.number))

    def _chain_checks(self) -> list[Check]:
        follows = self._follower or self._watch
        assert follows is not None
        checks = [Check("chain", follows.check, required=False)]
        if self._announcer:
            checks.append(Check("announced", self._announcer.check, required=False))
        return checks
