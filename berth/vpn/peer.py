"""One peer and one interface, as they are read from WireGuard and written to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from berth.access.tunnel import Subnets

no_allowed: Final = "(none)"


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer.  ``keepalive`` in seconds, 0 for off; ``handshake`` as Unix time, 0 for never; bytes as seen here."""

    key: str
    allowed: tuple[str, ...]
    endpoint: str = ""
    preshared: str = field(default="", repr=False)
    keepalive: int = 0
    handshake: int = field(default=0, compare=False)
    received: int = field(default=0, compare=False)
    sent: int = field(default=0, compare=False)

    def address(self, subnets: Subnets | None = None) -> str:
        """The tunnel address where the peer is as the access list would have it, else what it has instead."""
        addresses = [prefix[:-3] for prefix in self.allowed if prefix.endswith("/32")]
        if len(addresses) == 1 and not self.preshared:
            wanted = subnets.allowed(addresses[0]) if subnets else (f"{addresses[0]}/32",)
            if self.allowed == wanted or sorted(self.allowed) == sorted(wanted):
                return addresses[0]
        return (",".join(self.allowed) or no_allowed) + (" with a preshared key" if self.preshared else "")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was heard of a peer: the last handshake as Unix time, 0 for never, and bytes as seen here."""

    handshake: int = 0
    received: int = 0
    sent: int = 0


def addresses(peers: Mapping[str, Peer], subnets: Subnets | None = None) -> dict[str, str]:
    """Key -> address, see :meth:`Peer.address`."""
    return {key: peer.address(subnets) for key, peer in peers.items()}


@dataclass(frozen=True)
class Device:
    """An interface as it is: its public key ("" where it has none), its port, its peers by key."""

    public_key: str
    port: int
    peers: Mapping[str, Peer]
    subnets: Subnets | None = field(default=None, compare=False)

    @property
    def addresses(self) -> dict[str, str]:
        """Key -> address, see :meth:`Peer.address`."""
        return addresses(self.peers, self.subnets)
