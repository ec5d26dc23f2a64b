"""The access list and its digest.  Pure: the same passes give the same digest, at whatever block they are read."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from ipaddress import ip_address
from operator import attrgetter
from typing import Any, Final, Self

from berth.access import merkle
from berth.chain.endpoint import Block
from berth.chain.hashing import normalize_address, parse_address

__all__ = ["AccessList", "Block", "Entry", "digest_of", "peers_digest"]

digest_prefix: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class Entry:
    """One pass that counts at a block.

    ``token`` id of the pass; ``owner`` who bound the key (EIP-55 address); ``key`` WireGuard public key
    (base64, 44 characters); ``address`` tunnel address without prefix length.
    """

    token: int
    owner: str
    key: str
    address: str

    def leaf(self) -> bytes:
        """What the digest hashes: token (32 bytes, big-endian), owner (20), key (32), address (4 or 16)."""
        return (
            self.token.to_bytes(32, "big")
            + bytes.fromhex(self.owner[2:])
            + b64decode(self.key)
            + ip_address(self.address).packed
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


def digest_of(entries: Iterable[Entry]) -> str:
    """``sha256:`` and the hex Merkle root over the entries, sorted by token."""
    return digest_prefix + merkle.root([entry.leaf() for entry in sorted(entries, key=attrgetter("token"))]).hex()


def peers_digest(peers: Mapping[str, str]) -> str:
    """``sha256:`` over a set of peers (key -> address), one line ``key address`` each, sorted by key."""
    text = "".join(f"{key} {address}\n" for key, address in sorted(peers.items()))
    return digest_prefix + sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class AccessList:
    """Every pass that counts at ``block``, in order of tokens; ``registry`` is the KeyRegistry's address.

    ``left_out``: tokens that count too but whose slot has no address in the tunnel's subnet; not in the digest.
    """

    chain_id: int
    registry: str
    block: Block
    entries: tuple[Entry, ...] = field(repr=False)
    left_out: tuple[int, ...] = ()

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
