"""What /stats shows: one node at a glance."""

from __future__ import annotations

from typing import Any

from berth.kit.health import Health
from berth.vpn.agent import Agent
from berth.vpn.follower import Follower
from berth.vpn.interface import Interface
from berth.vpn.metrics import NodeMetrics
from berth.vpn.sampler import Sampler
from berth.vpn.settings import NodeSettings


class Stats:
    """``follower`` None where the node acts only when it is asked."""

    def __init__(
        self,
        settings: NodeSettings,
        public_key: str,
        interface: Interface,
        agent: Agent,
        follower: Follower | None,
        sampler: Sampler,
        metrics: NodeMetrics,
        health: Health,
    ) -> None:
        self._settings, self._public_key, self._interface = settings, public_key, interface
        self._agent, self._follower, self._sampler = agent, follower, sampler
        self._metrics, self._health = metrics, health

    def __call__(self, brief: bool = False) -> dict[str, Any]:
        """As JSON; NodeError where the peers cannot be read.  ``brief``: of those never heard of just their keys."""
        self._sampler.look()
        if brief:
            heard, silent = self._sampler.heard()
            listing: dict[str, Any] = {"peerList": heard, "silent": silent}
        else:
            listing = {"peerList": self._sampler.peers()}
        agent, applied = self._agent, self._agent.applied
        age = agent.age
        listed = None
        if applied:
            listed = {name: applied[name] for name in ("block", "digest")} | {
                "age": age if age is None else round(age, 1)
            }
        return {
            "node": self._settings.node_id,
            "region": self._settings.region,
            "mode": "follow" if self._follower else "on-up",
            "wireguard": self._interface.implementation or "none",
            "version": getattr(self._interface, "version", ""),
            "interfacePublicKey": self._public_key,
            "peers": {"total": self._sampler.total, "connected": self._sampler.connected},
            "list": listed,
            "lag": self._follower.lag if self._follower else None,
            "apply": self._metrics.percentiles(),
            "breaker": agent.breaker,
            "closed": agent.closed,
            "health": self._health.report()[1]["status"],
            **listing,
        }
