"""The access list and its digest.  Pure: the same passes give the same digest, at whatever block they are read."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, Final, Self

from berth.access import merkle
from berth.chain.endpoint import Block
from berth.chain.hashing import normalize_address, parse_address

__all__ = ["AccessList", "Block", "Entry", "ListTree", "PeersTree", "digest_of", "peers_digest"]

digest_prefix: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class Entry:
    """One pass that counts at a block.

    ``token`` id of the pass; ``owner`` who bound the key (EIP-55 address); ``key`` WireGuard public key
    (base64, 44 characters); ``address`` tunnel address without prefix length; ``expires`` the first second (UNIX
    time) at which it no longer counts unless something changes, 0 for none.  A term that was prolonged makes no other
    list, so it is neither hashed nor compared.
    """

    token: int
    owner: str
    key: str
    address: str
    expires: int = field(default=0, compare=False)

    def leaf(self) -> bytes:
        """What the digest hashes: token (32 bytes, big-endian), owner (20), key (32), address (4 or 16)."""
        return (
            self.token.to_bytes(32, "big")
            + bytes.fromhex(self.owner[2:])
            + b64decode(self.key)
            + inet_pton(AF_INET6 if ":" in self.address else AF_INET, self.address)
        )

    def as_inputs(self) -> dict[str, str]:
        """As the AccessList resource declares it, under its token."""
        return {"owner": self.owner, "key": self.key, "address": self.address}

    @classmethod
    def from_inputs(cls, token: str, inputs: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`as_inputs`; ValueError when something is not what it should be."""
        try:
            owner, key, address = (str(inputs[name]) for name in ("owner", "key", "address"))
        except KeyError as missing:
            raise ValueError(f"token {token}: {missing} is missing") from None
        parse_address(owner)
        if len(b64decode(key, validate=True)) != 32:
            raise ValueError(f"token {token}: {key!r} is no WireGuard public key")
        return cls(int(token), normalize_address(owner), key, str(ip_address(address)))


class ListTree:
    """The digest of a list, kept while entries come and go."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._tree: merkle.Tree[int] = merkle.Tree()
        for entry in entries:
            self.put(entry)

    def put(self, entry: Entry) -> None:
        """Add the entry, or replace the one of its token."""
        self._tree.put(_token_bucket(entry.token), entry.token, entry.leaf())

    def drop(self, token: int) -> None:
        """Take the entry of this token away, if there is one."""
        self._tree.drop(_token_bucket(token), token)

    @property
    def digest(self) -> str:
        """See :func:`digest_of`."""
        return digest_prefix + self._tree.root().hex()


class PeersTree:
    """The digest of a set of peers, kept while peers come and go."""

    def __init__(self, peers: Mapping[str, str] | None = None) -> None:
        self._tree: merkle.Tree[str] = merkle.Tree()
        for key, address in (peers or {}).items():
            self.put(key, address)

    def put(self, key: str, address: str) -> None:
        """Add the peer, or replace the one with this key."""
        self._tree.put(sha256(key.encode()).digest()[0], key, f"{key} {address}\n".encode())

    def drop(self, key: str) -> None:
        """Take the peer away, if it is there."""
        self._tree.drop(sha256(key.encode()).digest()[0], key)

    @property
    def digest(self) -> str:
        """See :func:`peers_digest`."""
        return digest_prefix + self._tree.root().hex()


def _token_bucket(token: int) -> int:
    return sha256(token.to_bytes(32, "big")).digest()[0]


def digest_of(entries: Iterable[Entry]) -> str:
    """``sha256:`` and the hex root of the tree over the entries (:class:`berth.access.merkle.Tree`).

    An entry is in the bucket that the first byte of the SHA-256 of its token (32 bytes, big-endian) names, and
    entries are in order of tokens there.
    """
    return ListTree(entries).digest


def peers_digest(peers: Mapping[str, str]) -> str:
    """``sha256:`` and the hex root over a set of peers (key -> address): leaves are lines ``key address``.

    A peer is in the bucket that the first byte of the SHA-256 of its key (base64) names, in order of keys there.
    """
    return PeersTree(peers).digest


@dataclass(frozen=True)
class AccessList:
    """Every pass that counts at ``block``, in order of tokens; ``registry`` is the KeyRegistry's address.

    ``left_out``: tokens that count too but whose slot has no address in the tunnel's subnet; not in the digest.
    ``removals``: where removals are believed sooner than additions, the block that they were taken from: then the
    list holds what both blocks have.
    """

    chain_id: int
    registry: str
    block: Block
    entries: tuple[Entry, ...] = field(repr=False)
    left_out: tuple[int, ...] = ()
    removals: Block | None = None

    @cached_property
    def digest(self) -> str:
        """See :func:`digest_of`; block, chain and registry are not part of it."""
        return digest_of(self.entries)

    @property
    def peers(self) -> dict[str, str]:
        """WireGuard public key -> tunnel address."""
        return {entry.key: entry.address for entry in self.entries}

    @cached_property
    def by_token(self) -> dict[int, Entry]:
        return {entry.token: entry for entry in self.entries}
