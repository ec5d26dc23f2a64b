"""The peers of one WireGuard interface: read in full or by key, changed only where asked.

A change never resets the session of a peer that it does not name, which is why ``wg syncconf`` and
``wg setconf`` are not used: ``wg addconf`` from standard input puts peers, ``wg set ... remove`` takes them away.
Where a wireguard-go has the interface, its control socket is used instead: a change costs a connection and no
process, and our own build reads single peers back whatever their number.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from berth.access.tunnel import Subnets
from berth.vpn import uapi
from berth.vpn.command import Runner
from berth.vpn.errors import Unreadable
from berth.vpn.fingerprint import Parts, parse
from berth.vpn.keys import is_key
from berth.vpn.peer import Device, Peer, Traffic, no_allowed

__all__ = ["Device", "Peer", "WireGuard", "parse_dump"]

_none: Final = no_allowed
_no_preshared: Final = "A" * 43 + "="  # 32 zero bytes: how WireGuard spells "no preshared key"
_prefix: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}|[0-9a-f:.]+/[0-9]{1,3}")
_endpoint: Final = re.compile(r"\S+:[0-9]{1,5}")
_number: Final = re.compile(r"[0-9]{1,20}")
_wake_keepalive: Final = 25  # seconds; switched off again at once
removal_chunk: Final = 500  # keys per command: about 30 KB of arguments, of the 128 KB that one may have


def parse_dump(text: str, subnets: Subnets | None = None) -> Device:
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
    return Device(public, int(head[2]), peers, subnets)


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
    """The peers of interface ``name``; ``subnets`` say what a tunnel address stands for (IPv4 alone without)."""

    def __init__(self, name: str, run: Runner, subnets: Subnets | None = None, socket: uapi.Uapi | None = None) -> None:
        self.name, self.subnets, self._run = name, subnets, run
        self._socket = socket or uapi.Uapi(name)

    def allowed(self, address: str) -> tuple[str, ...]:
        """The allowed IPs of the peer with this tunnel address."""
        return self.subnets.allowed(address) if self.subnets else (f"{address}/32",)

    def read(self) -> Device:
        """The whole interface.  Unreadable unless two ways of asking agree on who the peers are.

        A dump that ends early at a line's end looks whole; the list of keys alone, asked for separately, shows it.
        Someone may change peers by hand between the two questions, so they are asked twice before giving up.
        """
        for _ in range(2):
            device = parse_dump(self._run(["wg", "show", self.name, "dump"]), self.subnets)
            keys = self._run(["wg", "show", self.name, "peers"]).split()
            if len(keys) == len(device.peers) and set(keys) == device.peers.keys():
                return device
        raise Unreadable(
            f"`wg show {self.name}` names {len(keys)} peers but describes {len(device.peers)}: nothing was changed"
        )

    def lookup(self, keys: Iterable[str], prefixes: Iterable[str] = ()) -> dict[str, Peer]:
        """Those of ``keys`` that are peers, and whoever has one of ``prefixes`` as an allowed IP; by key.

        In time that grows with what is asked for alone where our own wireguard-go has the interface; else by
        :meth:`read`.  Unreadable where the answer is not whole.
        """
        asked, among = set(keys), set(prefixes)
        if self._socket.ours():
            lines = [f"public_key={uapi.hex_key(key)}" for key in asked] + [f"allowed_ip={one}" for one in among]
            return uapi.parse_peers(self._socket.ask("peers", lines))
        return {
            key: peer for key, peer in self.read().peers.items() if key in asked or not among.isdisjoint(peer.allowed)
        }

    def change(self, remove: Iterable[str] = (), put: Iterable[Peer] = ()) -> None:
        """Take peers away by key, then put peers.  In this order, because an address may pass from one to another."""
        keys, peers = list(remove), list(put)
        if not keys and not peers:
            return
        if self._socket.present():
            lines = [line for key in keys for line in uapi.removal(key)]
            self._socket.set(lines + [line for peer in peers for line in uapi.definition(peer)])
            return
        for start in range(0, len(keys), removal_chunk):
            command = ["wg", "set", self.name]
            for key in keys[start : start + removal_chunk]:
                command += ["peer", key, "remove"]
            self._run(command)
        if peers:
            self._run(["wg", "addconf", self.name, "/dev/stdin"], stdin=peers_config(peers))

    def fingerprint(self) -> Parts:
        """See :mod:`berth.vpn.fingerprint`; taken by another process, so that it delays nothing here."""
        if self._socket.ours():
            text = self._socket.ask("fingerprint").replace("part=", "")
        else:
            text = self._run([sys.executable, "-m", "berth.vpn.fingerprint", self.name])
        try:
            return parse(text)
        except ValueError:
            raise Unreadable(f"the fingerprint of {self.name} is none: nothing was changed") from None

    def traffic(self) -> tuple[int, dict[str, Traffic]]:
        """How many peers there are, and what was heard of those from whom anything was.  Unreadable as :meth:`read`.

        Our wireguard-go holds no change up for that; elsewhere the whole interface is read.
        """
        if self._socket.ours():
            return uapi.parse_traffic(self._socket.ask("traffic"))
        peers = self.read().peers
        heard = {key: Traffic(one.handshake, one.received, one.sent) for key, one in peers.items()}
        return len(peers), {key: one for key, one in heard.items() if one != Traffic()}

    def sessions(self) -> str:
        """Where the peers with a live session are, as WireGuard says it: for :meth:`wake`, and for nobody else."""
        if self._socket.ours():
            return self._socket.ask("sessions")
        return self._run(["wg", "show", self.name, "endpoints"])

    def wake(self, sessions: Iterable[str]) -> int:
        """Begin a handshake with each peer that had a session by one of ``sessions`` (newest first); how many.

        A client learns only after 15 s that a node has lost its sessions, unless the node speaks first.
        """
        places: dict[str, str] = {}
        for text in sessions:
            for key, endpoint in _parse_sessions(text):
                places.setdefault(key, endpoint)
        if not places:
            return 0
        there = self.read().peers
        calls = [
            Peer(key, there[key].allowed, endpoint)
            for key, endpoint in places.items()
            if key in there and not there[key].handshake and not there[key].keepalive
        ]
        self._keepalive(calls, _wake_keepalive)
        self._keepalive(calls, 0)
        return len(calls)

    def _keepalive(self, peers: Sequence[Peer], seconds: int) -> None:
        """Switching it on sends at once; nothing else of the peers is touched, and none is made."""
        if not peers:
            return
        if self._socket.present():
            self._socket.set(
                line
                for peer in peers
                for line in (
                    f"public_key={uapi.hex_key(peer.key)}",
                    "update_only=true",
                    f"endpoint={peer.endpoint}",
                    f"persistent_keepalive_interval={seconds}",
                )
            )
            return
        for peer in peers:
            option = ["endpoint", peer.endpoint, "persistent-keepalive", str(seconds)]
            self._run(["wg", "set", self.name, "peer", peer.key, *option])


def _parse_sessions(text: str) -> list[tuple[str, str]]:
    """Key and endpoint, from the answer of our wireguard-go or from ``wg show ... endpoints``."""
    ours = re.findall(r"public_key=([0-9a-f]{64})\nendpoint=(\S+)\n", text)
    if ours:
        return [(uapi.base64_key(key), endpoint) for key, endpoint in ours]
    return [(key, endpoint) for key, endpoint in re.findall(r"^(\S{44})\t(\S+)$", text, re.M) if endpoint != _none]
