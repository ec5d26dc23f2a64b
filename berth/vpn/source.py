"""Where lists come from: the registry, read by this node itself.  It trusts no list that someone sends it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Protocol

from berth.access.errors import BlockGone, OlderBlock
from berth.access.model import AccessList, Block
from berth.access.read import read_access_list
from berth.chain.endpoint import Endpoint
from berth.vpn.errors import ListRefused


class Source(Protocol):
    """What an agent needs of a chain.  All of it raises ChainError when the chain cannot be read."""

    def genesis(self) -> str:
        """The hash of block 0."""
        ...

    def canonical(self, block: Block) -> bool:
        """Whether the chain still has ``block``; OlderBlock where the endpoint has not got that far."""
        ...

    def read(self, digest: str, block: Block) -> AccessList:
        """The list with ``digest`` at ``block``; ListRefused where the chain gives another."""
        ...


@dataclass(frozen=True)
class ChainSource:
    """A KeyRegistry behind a JSON-RPC endpoint."""

    endpoint: Endpoint
    registry: str
    subnet: IPv4Network

    def genesis(self) -> str:
        return self.endpoint.block(0).hash

    def canonical(self, block: Block) -> bool:
        try:
            return self.endpoint.block(block.number) == block
        except BlockGone:
            raise OlderBlock(
                f"{self.endpoint.url} has not got to block {block} yet, whose list is already applied"
            ) from None

    def read(self, digest: str, block: Block) -> AccessList:
        self.endpoint.check_chain()
        try:
            found = self.endpoint.block(block.hash)
            if found != block:
                raise ListRefused(f"block {block.hash} is number {found.number} on the chain, not {block.number}")
            access = read_access_list(self.endpoint, self.registry, self.subnet, block)
            where = f"at block {block}"
        except BlockGone as gone:
            # Endpoints keep the state of recent blocks only.  The same list at the head is the same list.
            access = read_access_list(self.endpoint, self.registry, self.subnet, not_before=block)
            where = f"at the head, block {access.block} (block {block} cannot be read any more: {gone})"
        if access.digest != digest:
            raise ListRefused(
                f"the chain gives the list {access.digest} {where}, not {digest}: "
                "run `pulumi up` again to read the list anew"
            )
        return access
