"""The nodes that may be offered: those that the operator allows and that announced themselves, and how they are.

Looked at in the background, so that no caller waits for a node that does not answer; and each by itself and with a
time for the whole answer, so that one that drips holds up nothing but what is known of it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from berth.access.api.metrics import ApiMetrics
from berth.chain.errors import ChainError
from berth.chain.node_registry import Node, NodeRegistry
from berth.kit.logging import get_logger

health_every: Final = 2.0  # seconds: a client is to hear of a dead node within ten
stats_every: Final = 5.0
registry_every: Final = 10.0
_answer_within: Final = 2.0  # seconds, from the connection to the last byte
_stats_within: Final = 5.0
_stats_limit: Final = 32 * 2**20  # bytes; 10,000 peers are 3 MiB

Ask = Callable[[httpx.AsyncClient, str], Awaitable[None]]


@dataclass(frozen=True)
class Watched:
    """Where a node's HTTP is inside (``url``), and where clients may measure its latency (``probe_url``).

    ``bridges``: of each TCP bridge before it, by the endpoint that the node announces, where its HTTP is inside.
    """

    url: str
    probe_url: str
    bridges: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What a node said of one peer: ``last_handshake`` unix seconds or None; bytes as the node counts them."""

    node: str
    connected: bool
    last_handshake: int | None
    received: int
    sent: int


@dataclass
class _State:
    healthy: bool | None = None  # None: nobody here watches it
    key: str = ""
    peers: int | None = None
    connected: int | None = None
    wireguard: str | None = None
    by_key: Mapping[str, Seen] = field(default_factory=dict)
    stats_at: float = 0.0


class NodeWatch:
    """Announced nodes and their state; :meth:`start` begins to look."""

    def __init__(self, registry: NodeRegistry, watched: Mapping[str, Watched], metrics: ApiMetrics) -> None:
        self._registry, self._watched, self._metrics = registry, watched, metrics
        self._states: dict[str, _State] = {name: _State(healthy=False) for name in watched}
        self._bridges = {endpoint: url for one in watched.values() for endpoint, url in one.bridges.items()}
        self._bridge_health = dict.fromkeys(self._bridges, False)
        self._announced: tuple[Node, ...] = ()
        self._announced_at = 0.0
        self._fault: ChainError | None = None
        self._stop = threading.Event()
        self._log = get_logger("nodes")

    def start(self) -> None:
        """Begin, in threads of their own."""
        for name, target in (("node-registry", self._announcements), ("node-watch", self._run)):
            threading.Thread(target=target, name=name, daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def check(self) -> str:
        """For health: how many are well; RuntimeError when none is."""
        offered = self.offered()
        well = [node["id"] for node in offered if node["healthy"]]
        if self._fault is not None:
            raise self._fault
        if offered and not well:
            raise RuntimeError(f"none of {len(offered)} nodes is well")
        return f"{len(well)} of {len(offered)} well"

    def is_node_key(self, key: str) -> bool:
        """Whether a node has this key, as announced or as it says itself."""
        return any(node.key == key for node in self._announced) or any(
            state.key == key for state in self._states.values()
        )

    def seen(self, key: str) -> Seen | None:
        """What the nodes know of a peer: from the one it is connected to, else from the last one it was."""
        found = [state.by_key[key] for state in self._states.values() if key in state.by_key]
        return max(found, key=lambda one: (one.connected, one.last_handshake or 0), default=None)

    def offered(self) -> list[dict[str, Any]]:
        """The nodes as the API shows them, by id."""
        shown = []
        for node in sorted(self._announced, key=lambda node: node.id):
            state = self._states.get(node.id, _State())
            watched = self._watched.get(node.id)
            # What answers inside with another key than the announced one is not what clients would talk to.
            healthy = state.healthy and (not state.key or state.key == node.key)
            shown.append(
                {
                    "id": node.id,
                    "region": node.region,
                    "endpoint": node.endpoint,
                    "publicKey": node.key,
                    "healthy": healthy,
                    "peers": state.peers,
                    "connected": state.connected,
                    "probeUrl": watched.probe_url if watched else None,
                    "wireguard": state.wireguard,
                    # One that nobody here watches may be well: who dials it finds out.
                    "bridges": [one for one in node.bridges if self._bridge_health.get(one, True)],
                }
            )
        return shown

    def bridges(self) -> list[dict[str, Any]]:
        """The TCP bridges that may be offered, those of one node after another."""
        return [
            {"node": node["id"], "publicKey": node["publicKey"], "endpoint": endpoint}
            for node in self.offered()
            for endpoint in node["bridges"]
        ]

    def look(self) -> None:
        """Ask the registry and every node once."""
        self._read_registry()

        async def once() -> None:
            async with _client() as client:
                await asyncio.gather(*(ask(client, name) for ask, name in self._asked()))

        asyncio.run(once())

    def _asked(self) -> list[tuple[Ask, str]]:
        asked: list[tuple[Ask, str]] = [(self._ask, name) for name in self._watched]
        return asked + [(self._ask_bridge, endpoint) for endpoint in self._bridges]

    def _announcements(self) -> None:
        while not self._stop.is_set():
            if time.monotonic() - self._announced_at >= registry_every or not self._announced:
                self._read_registry()
            self._stop.wait(health_every)

    def _run(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        async with _client() as client, asyncio.TaskGroup() as group:
            for ask, name in self._asked():
                group.create_task(self._repeat(ask, client, name))

    async def _repeat(self, ask: Ask, client: httpx.AsyncClient, name: str) -> None:
        while not self._stop.is_set():
            try:
                await ask(client, name)
            except Exception:  # noqa: BLE001 - without this nobody would look at that node any more
                self._log.exception("a node could not be looked at", node=name)
            offered = self.offered()
            for health, wanted in (("well", True), ("ill", False), ("unwatched", None)):
                self._metrics.nodes.labels(health).set(sum(node["healthy"] is wanted for node in offered))
            await asyncio.sleep(health_every)

    def _read_registry(self) -> None:
        try:
            self._announced = self._registry.nodes()
        except ChainError as fault:
            # The last list stays: a chain that is down must not take the nodes from the page.
            if self._fault is None:
                self._log.warning("the node registry cannot be read", reason=str(fault))
            self._fault = fault
            return
        self._fault, self._announced_at = None, time.monotonic()

    async def _ask(self, client: httpx.AsyncClient, name: str) -> None:
        state, url = self._states[name], self._watched[name].url
        status, _ = await _get(client, f"{url}/health", _answer_within)
        healthy = status == 200
        if healthy is not state.healthy:
            self._log.info("node is well" if healthy else "node is not well", node=name, status=status)
        state.healthy = healthy
        if not healthy:
            state.by_key = {key: _gone(seen) for key, seen in state.by_key.items()}
            state.connected, state.stats_at = None, 0.0
        elif time.monotonic() - state.stats_at >= stats_every:
            status, body = await _get(client, f"{url}/stats?peers=heard", _stats_within)
            if status == 200:
                self._take_stats(name, state, body)

    async def _ask_bridge(self, client: httpx.AsyncClient, endpoint: str) -> None:
        status, _ = await _get(client, f"{self._bridges[endpoint]}/health", _answer_within)
        healthy = status == 200
        if healthy is not self._bridge_health[endpoint]:
            self._log.info("bridge is well" if healthy else "bridge is not well", bridge=endpoint, status=status)
        self._bridge_health[endpoint] = healthy

    def _take_stats(self, name: str, state: _State, body: bytes) -> None:
        try:
            stats = json.loads(body)
            silent = Seen(name, connected=False, last_handshake=None, received=0, sent=0)
            by_key = {str(key): silent for key in stats.get("silent", [])}
            by_key |= {str(peer["key"]): _seen(name, peer) for peer in stats.get("peerList", [])}
            state.key = str(stats["interfacePublicKey"])
            state.peers, state.connected = int(stats["peers"]["total"]), int(stats["peers"]["connected"])
            state.wireguard = str(stats.get("wireguard", "")) or None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._log.warning("a node's statistics cannot be read", node=name, reason=repr(error))
            return
        state.by_key, state.stats_at = by_key, time.monotonic()


def _client() -> httpx.AsyncClient:
    # Nothing compressed is asked for: what unpacks to gigabytes is not unpacked.
    return httpx.AsyncClient(trust_env=False, headers={"Accept-Encoding": "identity"})


async def _get(client: httpx.AsyncClient, url: str, seconds: float) -> tuple[int, bytes]:
    """Status (0 for none in that time) and body, both bounded."""
    try:
        async with asyncio.timeout(seconds), client.stream("GET", url, timeout=seconds) as response:
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > _stats_limit:
                    return 0, b""
    except (httpx.HTTPError, OSError, TimeoutError):
        return 0, b""
    return response.status_code, bytes(body)


def _seen(node: str, peer: Mapping[str, Any]) -> Seen:
    last = peer.get("lastHandshake")
    return Seen(node, bool(peer["connected"]), int(last) if last else None, int(peer["received"]), int(peer["sent"]))


def _gone(seen: Seen) -> Seen:
    """Of a node that is not well it is not known whether anybody is connected to it."""
    return Seen(seen.node, False, seen.last_handshake, seen.received, seen.sent)
