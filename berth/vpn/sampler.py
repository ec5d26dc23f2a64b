"""Who is connected: reads handshakes and bytes now and then, and counts comings and goings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from berth.kit.logging import get_logger
from berth.vpn.errors import NodeError
from berth.vpn.metrics import NodeMetrics
from berth.vpn.peer import Traffic

connected_within: Final = 180  # seconds since the last handshake: sessions are renewed every two minutes, or end
_every: Final = 60.0  # seconds between looks; enough to see who comes and goes
_fresh: Final = 2.0  # seconds: who asks more often gets the same answer


class Heard(Protocol):
    """What :class:`~berth.vpn.wireguard.WireGuard` offers here."""

    def traffic(self) -> tuple[int, dict[str, Traffic]]: ...


@dataclass(frozen=True)
class Seen:
    """One peer as it was last seen; ``transitions`` counts how often it came or went."""

    traffic: Traffic
    connected: bool
    transitions: int = 0


_never: Final = Seen(Traffic(), connected=False)


class Sampler:
    """Looks at ``device`` every minute, and when it is asked.  ``wanted``: key -> address of whoever is a peer."""

    def __init__(
        self,
        device: Heard,
        wanted: Callable[[], Mapping[str, str]],
        metrics: NodeMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._device, self._wanted, self._metrics, self._clock = device, wanted, metrics, clock
        self._lock = threading.Lock()
        self._seen: dict[str, Seen] = {}
        self._at = 0.0
        self._stopping = threading.Event()
        self._log = get_logger("sampler")
        self.total = self.connected = 0
        """Peers of the interface, and how many of them are connected, as last seen."""

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def look(self) -> None:
        """Look once, unless that was just done.  NodeError where the peers cannot be read."""
        with self._lock:
            now = self._clock()
            if now - self._at < _fresh:
                return
            seen: dict[str, Seen] = {}
            total, heard = self._device.traffic()
            for key, traffic in heard.items():
                connected = bool(traffic.handshake) and now - traffic.handshake <= connected_within
                before = self._seen.get(key, _never)
                seen[key] = Seen(traffic, connected, before.transitions + (before.connected != connected))
            self._seen, self._at, self.total = seen, now, total
            self.connected = sum(one.connected for one in seen.values())
            self._metrics.connected.set(self.connected)

    def peers(self) -> list[dict[str, Any]]:
        """Each peer, for /stats; never where it connects from."""
        seen = self._seen
        return [_shown(key, address, seen.get(key, _never)) for key, address in dict(self._wanted()).items()]

    def heard(self) -> tuple[list[dict[str, Any]], list[str]]:
        """The peers of whom anything was heard, and the keys of the others."""
        wanted, seen = dict(self._wanted()), self._seen
        found = [_shown(key, wanted[key], one) for key, one in seen.items() if key in wanted]
        return found, [key for key in wanted if key not in seen]

    def _run(self) -> None:
        while not self._stopping.wait(_every):
            try:
                self.look()
            except NodeError as error:
                self._log.warning("the peers could not be read", reason=str(error))


def _shown(key: str, address: str, seen: Seen) -> dict[str, Any]:
    return {
        "key": key,
        "address": address,
        "connected": seen.connected,
        "lastHandshake": seen.traffic.handshake or None,
        "received": seen.traffic.received,
        "sent": seen.traffic.sent,
        "transitions": seen.transitions,
    }
