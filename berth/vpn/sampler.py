"""Who is connected: reads handshakes and bytes now and then, and counts comings and goings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from berth.kit.logging import get_logger
from berth.vpn.errors import NodeError
from berth.vpn.metrics import NodeMetrics
from berth.vpn.reconcile import Peers
from berth.vpn.wireguard import Peer

connected_within: Final = 180  # seconds since the last handshake: sessions are renewed every two minutes, or end
_every: Final = 60.0  # each look holds WireGuard up a little where there are thousands of peers
_fresh: Final = 2.0  # seconds: who asks more often gets the same answer


@dataclass
class Seen:
    """One peer as it was last seen; ``transitions`` counts how often it came or went."""

    peer: Peer
    address: str
    connected: bool
    transitions: int = 0


class Sampler:
    """Reads ``device`` every minute, and when it is asked."""

    def __init__(self, device: Peers, metrics: NodeMetrics, clock: Callable[[], float] = time.time) -> None:
        self._device, self._metrics, self._clock = device, metrics, clock
        self._lock = threading.Lock()
        self._seen: dict[str, Seen] = {}
        self._at = 0.0
        self._stopping = threading.Event()
        self._log = get_logger("sampler")

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def look(self) -> None:
        """Read once, unless that was just done.  NodeError where the peers cannot be read."""
        with self._lock:
            now = self._clock()
            if now - self._at < _fresh:
                return
            seen: dict[str, Seen] = {}
            device = self._device.read()
            addresses = device.addresses
            for key, peer in device.peers.items():
                connected = bool(peer.handshake) and now - peer.handshake <= connected_within
                before = self._seen.get(key)
                transitions = before.transitions + (before.connected != connected) if before else int(connected)
                seen[key] = Seen(peer, addresses[key], connected, transitions)
            self._seen, self._at = seen, now
            self._metrics.connected.set(sum(one.connected for one in seen.values()))

    def peers(self) -> list[dict[str, Any]]:
        """Each peer, for /stats; never where it connects from."""
        return [
            {
                "key": key,
                "address": seen.address,
                "connected": seen.connected,
                "lastHandshake": seen.peer.handshake or None,
                "received": seen.peer.received,
                "sent": seen.peer.sent,
                "transitions": seen.transitions,
            }
            for key, seen in self._seen.items()
        ]

    def _run(self) -> None:
        while not self._stopping.wait(_every):
            try:
                self.look()
            except NodeError as error:
                self._log.warning("the peers could not be read", reason=str(error))
