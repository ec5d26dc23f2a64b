"""What was applied, so that it can be verified later and without a chain.

A receipt says: at this block of this chain, this registry gave the list with this digest, and these were
the peers.  Whoever has the list can recompute both digests; whoever has the block can read the list again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from berth.access.model import AccessList, Block, peers_digest


@dataclass(frozen=True)
class Receipt:
    """``digest`` of the list (Merkle root), ``peers_digest`` and ``peers`` (count) of the peers applied.

    ``removals``: the later block that removals were taken from, where that is another: the list is what both blocks
    have.  ``generation`` counts what a node applied, ``at`` is when (UNIX seconds, by its clock); 0 where no node did.
    """

    digest: str
    block: Block
    peers_digest: str
    peers: int
    chain_id: int
    registry: str
    removals: Block | None = None
    generation: int = field(default=0, compare=False)
    at: float = field(default=0.0, compare=False)

    @classmethod
    def of(cls, access: AccessList, applied: Mapping[str, str] | None = None) -> Self:
        """The receipt of a list, and of the peers read back after it was applied (the list's own by default)."""
        peers = access.peers if applied is None else applied
        return cls(
            access.digest,
            access.block,
            peers_digest(peers),
            len(peers),
            access.chain_id,
            access.registry,
            access.removals,
        )

    def as_dict(self) -> dict[str, Any]:
        """Camel-case JSON, as in state, on a node's disk and in its answers."""
        removals = {"removalBlock": _shown(self.removals)} if self.removals else {}
        applied = {"generation": self.generation, "at": self.at} if self.generation else {}
        return {
            "digest": self.digest,
            "block": _shown(self.block),
            **removals,
            "peersDigest": self.peers_digest,
            "peers": self.peers,
            "chainId": self.chain_id,
            "registry": self.registry,
            **applied,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`as_dict`; ValueError when it is no receipt."""
        try:
            removals = raw.get("removalBlock")
            return cls(
                digest=str(raw["digest"]),
                block=_block(raw["block"]),
                peers_digest=str(raw["peersDigest"]),
                peers=int(raw["peers"]),
                chain_id=int(raw["chainId"]),
                registry=str(raw["registry"]),
                removals=_block(removals) if removals else None,
                generation=int(raw.get("generation", 0)),
                at=float(raw.get("at", 0)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a receipt: {error}") from None

    def problems(self, access: AccessList, applied: Mapping[str, str] | None = None) -> list[str]:
        """Why this is not the receipt of that list and those peers; empty when it is.

        Where ``removals`` is set, ``access`` is what both blocks have (:func:`berth.access.current.meet`).
        """
        other = Receipt.of(access, applied)
        names = [one.name for one in fields(self) if one.compare]
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return [
            f"{name} is {ours} in the receipt, {theirs} in the list" for name, ours, theirs in pairs if ours != theirs
        ]


def _shown(block: Block) -> dict[str, Any]:
    return {"number": block.number, "hash": block.hash}


def _block(raw: Mapping[str, Any]) -> Block:
    return Block(int(raw["number"]), str(raw["hash"]))
