"""What was applied, so that it can be verified later and without a chain.

A receipt says: at this block of this chain, this registry gave the list with this digest, and these were
the peers.  Whoever has the list can recompute both digests; whoever has the block can read the list again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from berth.access.model import AccessList, Block, peers_digest


@dataclass(frozen=True)
class Receipt:
    """``digest`` of the list (Merkle root), ``peers_digest`` and ``peers`` (count) of the peers applied."""

    digest: str
    block: Block
    peers_digest: str
    peers: int
    chain_id: int
    registry: str

    @classmethod
    def of(cls, access: AccessList, applied: Mapping[str, str] | None = None) -> Self:
        """The receipt of a list, and of the peers read back after it was applied (the list's own by default)."""
        peers = access.peers if applied is None else applied
        return cls(access.digest, access.block, peers_digest(peers), len(peers), access.chain_id, access.registry)

    def as_dict(self) -> dict[str, Any]:
        """Camel-case JSON, as in state, on a node's disk and in its answers."""
        return {
            "digest": self.digest,
            "block": {"number": self.block.number, "hash": self.block.hash},
            "peersDigest": self.peers_digest,
            "peers": self.peers,
            "chainId": self.chain_id,
            "registry": self.registry,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`as_dict`; ValueError when it is no receipt."""
        try:
            return cls(
                digest=str(raw["digest"]),
                block=Block(int(raw["block"]["number"]), str(raw["block"]["hash"])),
                peers_digest=str(raw["peersDigest"]),
                peers=int(raw["peers"]),
                chain_id=int(raw["chainId"]),
                registry=str(raw["registry"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a receipt: {error}") from None

    def problems(self, access: AccessList, applied: Mapping[str, str] | None = None) -> list[str]:
        """Why this is not the receipt of that list and those peers; empty when it is."""
        other = Receipt.of(access, applied)
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__]
        return [
            f"{name} is {ours} in the receipt, {theirs} in the list" for name, ours, theirs in pairs if ours != theirs
        ]
