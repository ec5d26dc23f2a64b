"""The peers of one WireGuard interface, through ``wg``: read in full, changed only where asked.

A change never resets the session of a peer that it does not name, which is why ``wg syncconf`` and
``wg setconf`` are not used: ``wg addconf`` from standard input puts peers, ``wg set ... remove`` takes them away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from berth.vpn.command import Runner
from berth.vpn.errors import Unreadable
from berth.vpn.keys import is_key

_none: Final = "(none)"
_no_preshared: Final = "A" * 43 + "="  # 32 zero bytes: how WireGuard spells "no preshared key"
_prefix: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}|[0-9a-f:.]+/[0-9]{1,3}")
_endpoint: Final = re.compile(r"\S+:[0-9]{1,5}")
_number: Final = re.compile(r"[0-9]{1,20}")
removal_chunk: Final = 500  # keys per command: about 30 KB of arguments, of the 128 KB that one may have


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

    @classmethod
    def wanted(cls, key: str, address: str) -> Peer:
        """The peer that an entry of the access list asks for: one address, nothing else."""
        return cls(key, (f"{address}/32",))

    @property
    def address(self) -> str:
        """The tunnel address where the peer is as the access list would have it, else what it has instead."""
        if len(self.allowed) == 1 and self.allowed[0].endswith("/32") and not self.preshared:
            return self.allowed[0].removesuffix("/32")
        return (",".join(self.allowed) or _none) + (" with a preshared key" if self.preshared else "")


@dataclass(frozen=True)
class Device:
    """An interface as it is: its public key ("" where it has none), its port, its peers by key."""

    public_key: str
    port: int
    peers: Mapping[str, Peer]

    @property
    def addresses(self) -> dict[str, str]:
        """Key -> address, see :attr:`Peer.address`."""
        return {key: peer.address for key, peer in self.peers.items()}


def parse_dump(text: str) -> Device:
    """``wg show <interface> dump``, strictly: Unreadable on anything unexpected, with no content in the message.

    The first line holds the private key, and lines of peers their preshared keys: errors name lines, not text.
    """
    if not text.endswith("\n"):
        raise Unreadable("the dump of peers is cut off: it does not end with a line's end")
    first, *rest = text[:-1].split("\n")
    head = first.split("\t")
    if len(head) != 4:
        raise Unreadable(f"line 1 of the dump of peers has {len(head)} fields instead of 4")
    public = "" if head[1] == _none else head[1]
    if (public and not is_key(public)) or not _number.fullmatch(head[2]):
        raise Unreadable("line 1 of the dump of peers does not hold a public key and a port")
    peers: dict[str, Peer] = {}
    owners: dict[str, int] = {}
    for number, line in enumerate(rest, 2):
        peer = _parse_peer(number, line)
        if peer.key in peers:
            raise Unreadable(f"line {number} of the dump of peers repeats a peer")
        for prefix in peer.allowed:
            if owners.setdefault(prefix, number) != number:
                raise Unreadable(f"lines {owners[prefix]} and {number} of the dump of peers hold the same address")
        peers[peer.key] = peer
    return Device(public, int(head[2]), peers)


def _parse_peer(number: int, line: str) -> Peer:
    fields = line.split("\t")
    if len(fields) != 8:
        raise Unreadable(f"line {number} of the dump of peers has {len(fields)} fields instead of 8")
    key, preshared, endpoint, allowed, handshake, received, sent, keepalive = fields
    prefixes = () if allowed == _none else tuple(allowed.split(","))
    sound = (
        is_key(key)
        and (preshared == _none or is_key(preshared))
        and (endpoint == _none or _endpoint.fullmatch(endpoint))
        and all(_prefix.fullmatch(prefix) for prefix in prefixes)
        and len(set(prefixes)) == len(prefixes)
        and all(_number.fullmatch(value) for value in (handshake, received, sent))
        and (keepalive == "off" or _number.fullmatch(keepalive))
    )
    if not sound:
        raise Unreadable(f"line {number} of the dump of peers is not a peer")
    return Peer(
        key=key,
        allowed=prefixes,
        endpoint="" if endpoint == _none else endpoint,
        preshared="" if preshared == _none else preshared,
        keepalive=0 if keepalive == "off" else int(keepalive),
        handshake=int(handshake),
        received=int(received),
        sent=int(sent),
    )


def peers_config(peers: Iterable[Peer]) -> str:
    """The peers as a configuration for ``wg addconf``: each replaces the allowed IPs of a peer that is there."""
    lines: list[str] = []
    for peer in peers:
        lines += [
            "[Peer]",
            f"PublicKey = {peer.key}",
            f"PresharedKey = {peer.preshared or _no_preshared}",
            f"AllowedIPs = {', '.join(peer.allowed)}",
        ]
        if peer.endpoint:
            lines.append(f"Endpoint = {peer.endpoint}")
        if peer.keepalive:
            lines.append(f"PersistentKeepalive = {peer.keepalive}")
    return "\n".join(lines) + "\n"


class WireGuard:
    """The peers of interface ``name``."""

    def __init__(self, name: str, run: Runner) -> None:
        self.name, self._run = name, run

    def read(self) -> Device:
        """The whole interface.  Unreadable unless two ways of asking agree on who the peers are.

        A dump that ends early at a line's end looks whole; the list of keys alone, asked for separately, shows it.
        Someone may change peers by hand between the two questions, so they are asked twice before giving up.
        """
        for _ in range(2):
            device = parse_dump(self._run(["wg", "show", self.name, "dump"]))
            keys = self._run(["wg", "show", self.name, "peers"]).split()
            if len(keys) == len(device.peers) and set(keys) == device.peers.keys():
                return device
        raise Unreadable(
            f"`wg show {self.name}` names {len(keys)} peers but describes {len(device.peers)}: nothing was changed"
        )

    def change(self, remove: Iterable[str] = (), put: Iterable[Peer] = ()) -> None:
        """Take peers away by key, then put peers.  In this order, because an address may pass from one to another."""
        keys = list(remove)
        for start in range(0, len(keys), removal_chunk):
            command = ["wg", "set", self.name]
            for key in keys[start : start + removal_chunk]:
                command += ["peer", key, "remove"]
            self._run(command)
        peers = list(put)
        if peers:
            self._run(["wg", "addconf", self.name, "/dev/stdin"], stdin=peers_config(peers))
