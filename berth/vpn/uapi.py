"""The control socket of a wireguard-go: the configuration protocol, and what our own build adds to it.

See https://www.wireguard.com/xplatform/#configuration-protocol, and images/wireguard/go/device/berth.go for
``peers``, ``fingerprint``, ``traffic``, ``sessions`` and ``device``.  A command costs a connection, not a process.
"""

from __future__ import annotations

import re
import socket
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from berth.vpn.command import time_limit
from berth.vpn.errors import CommandFailed, Unreadable
from berth.vpn.peer import Peer, Traffic

folder: Final = Path("/var/run/wireguard")
_credentials: Final = struct.Struct("3i")  # process, user, group
_chunk: Final = 1 << 20
_identity: Final = re.compile(r"version=.*\npublic_key=(?P<key>[0-9a-f]{64})\nlisten_port=(?P<port>[0-9]{1,5})\n")
_peers: Final = re.compile(r"peers=([0-9]{1,9})\n")
_traffic: Final = re.compile(
    r"(?P<key>[0-9a-f]{64})\nlast_handshake_time_sec=(?P<handshake>[0-9]{1,20})\n"
    r"tx_bytes=(?P<sent>[0-9]{1,20})\nrx_bytes=(?P<received>[0-9]{1,20})\n"
)
_no_preshared: Final = "0" * 64
_single: Final = {
    "preshared_key", "endpoint", "last_handshake_time_sec", "tx_bytes", "rx_bytes", "persistent_keepalive_interval",
}  # fmt: skip


class Uapi:
    """The socket of interface ``name``."""

    def __init__(self, name: str, sockets: Path = folder, seconds: float = time_limit) -> None:
        self.path, self._seconds = sockets / f"{name}.sock", seconds
        self._ours: tuple[int, bool] | None = None

    def present(self) -> bool:
        """Whether the interface is a wireguard-go's."""
        return self.path.exists()

    def ours(self) -> bool:
        """Whether it is our own build; asked once for each process behind the socket."""
        try:
            made = self.path.stat().st_ino
        except FileNotFoundError:
            return False
        if self._ours is None or self._ours[0] != made:
            self._ours = (made, bool(self.version()))
        return self._ours[1]

    def version(self) -> str:
        """The version of our own build; "" where it is another."""
        text = self._exchange("device=1\n\n")
        return text.removeprefix("version=").partition("\n")[0] if text.startswith("version=") else ""

    def identity(self) -> tuple[str, int]:
        """The interface's own public key and port, of our own build."""
        found = _identity.fullmatch(self.ask("device"))
        if not found:
            raise Unreadable("wireguard-go's answer to `device` is not one")
        return base64_key(found["key"]), int(found["port"])

    def process(self) -> int:
        """The id of the process that listens; 0 where none does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(str(self.path))
            except OSError:
                return 0
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _credentials.size)
        pid: int = _credentials.unpack(credentials)[0]
        return pid

    def set(self, lines: Iterable[str]) -> None:
        """One configuration; CommandFailed where it was refused, perhaps half-way."""
        _result(self._exchange("\n".join(["set=1", *lines]) + "\n\n"), "change", CommandFailed)

    def ask(self, what: str, lines: Iterable[str] = ()) -> str:
        """What our own build answers to ``what``; Unreadable where it does not answer whole."""
        return _result(self._exchange("\n".join([f"{what}=1", *lines]) + "\n\n"), what, Unreadable)

    def _exchange(self, request: str) -> str:
        """The answer up to its end, or what there was of it when the connection ended."""
        received = bytearray()
        try:
            # Inside as well: where no descriptor is left, whoever changes peers must know, to put them back.
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._seconds)
                connection.connect(str(self.path))
                connection.sendall(request.encode())
                while not received.endswith(b"\n\n"):
                    part = self._receive(connection)
                    if not part:
                        break
                    received += part
        except TimeoutError:
            raise CommandFailed(f"wireguard-go did not answer at {self.path} within {self._seconds:g} s") from None
        except OSError as error:
            raise CommandFailed(f"wireguard-go cannot be reached at {self.path}: {error}") from None
        return received.decode("ascii", "replace")

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        try:
            return connection.recv(_chunk)
        except ConnectionResetError:  # what it did not know it did not read to its end either
            return b""


def _result(text: str, what: str, error: type[CommandFailed] | type[Unreadable]) -> str:
    body, found, status = text.rpartition("errno=")
    if not found or not status.endswith("\n\n") or (body and not body.endswith("\n")):
        raise error(f"wireguard-go's answer to `{what}` is cut off")
    if status != "0\n\n":
        raise error(f"wireguard-go refused `{what}` with error {status.strip()}: see the log")
    return body


def hex_key(key: str) -> str:
    """A key as the protocol spells it."""
    return b64decode(key).hex()


def base64_key(text: str) -> str:
    """The inverse of :func:`hex_key`; ValueError where it is no key."""
    raw = bytes.fromhex(text)
    if len(raw) != 32:
        raise ValueError("a key has 32 bytes")
    return b64encode(raw).decode()


def removal(key: str) -> Iterator[str]:
    """The lines that take a peer away, if it is there."""
    yield f"public_key={hex_key(key)}"
    yield "remove=true"


def definition(peer: Peer) -> Iterator[str]:
    """The lines that put a peer in place of one with its key: its allowed IPs are these and no others."""
    yield f"public_key={hex_key(peer.key)}"
    yield f"preshared_key={hex_key(peer.preshared) if peer.preshared else _no_preshared}"
    if peer.endpoint:
        yield f"endpoint={peer.endpoint}"
    if peer.keepalive:
        yield f"persistent_keepalive_interval={peer.keepalive}"
    yield "replace_allowed_ips=true"
    for prefix in peer.allowed:
        yield f"allowed_ip={prefix}"


def parse_peers(text: str) -> dict[str, Peer]:
    """The peers of an answer, strictly: Unreadable on anything unexpected, with no content in the message."""
    peers: dict[str, Peer] = {}
    for block in text.split("public_key=")[1:] if text else ():
        peer = _parse_peer(block)
        if peer.key in peers:
            raise Unreadable("wireguard-go's answer repeats a peer")
        peers[peer.key] = peer
    if not text.startswith("public_key=") and text:
        raise Unreadable("wireguard-go's answer does not begin with a peer")
    return peers


def parse_traffic(text: str) -> tuple[int, dict[str, Traffic]]:
    """How many peers there are, and what was heard of those from whom anything was; Unreadable as above."""
    head, *blocks = text.split("public_key=")
    found = [_traffic.fullmatch(block) for block in blocks]
    count = _peers.fullmatch(head)
    if count is None or not all(found):
        raise Unreadable("wireguard-go's answer to `traffic` is not one")
    heard = {
        base64_key(one["key"]): Traffic(int(one["handshake"]), int(one["received"]), int(one["sent"]))
        for one in found
        if one is not None
    }
    if len(heard) != len(blocks) or len(heard) > int(count[1]):
        raise Unreadable("wireguard-go's answer to `traffic` repeats a peer")
    return int(count[1]), heard


def _parse_peer(block: str) -> Peer:
    key, *lines = block.removesuffix("\n").split("\n")
    values: dict[str, str] = {}
    allowed: list[str] = []
    for text in lines:
        name, _, value = text.partition("=")
        if name == "allowed_ip" and value not in allowed:
            allowed.append(value)
        elif name in _single and name not in values:
            values[name] = value
        else:
            raise Unreadable("wireguard-go's answer holds a line of a peer that is unknown or repeated")
    if not block.endswith("\n") or values.keys() | {"endpoint"} != _single:
        raise Unreadable("wireguard-go's answer lacks a line of a peer")
    try:
        return Peer(
            key=base64_key(key),
            allowed=tuple(allowed),
            endpoint=values.get("endpoint", ""),
            preshared="" if values["preshared_key"] == _no_preshared else base64_key(values["preshared_key"]),
            keepalive=int(values["persistent_keepalive_interval"]),
            handshake=int(values["last_handshake_time_sec"]),
            received=int(values["rx_bytes"]),
            sent=int(values["tx_bytes"]),
        )
    except ValueError:
        raise Unreadable("wireguard-go's answer holds a peer with a value that is none") from None
