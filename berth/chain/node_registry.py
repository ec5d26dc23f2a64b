"""NodeRegistry: which nodes the operator allows, and where they are."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from berth.chain import abi
from berth.chain.endpoint import Block, Endpoint, Finality
from berth.chain.errors import NoContract, WrongChain
from berth.chain.hashing import normalize_address
from berth.chain.key_registry import key_bytes

if TYPE_CHECKING:
    from berth.chain.transactions import Receipt, Sender

name: Final = "NodeRegistry"
page_nodes: Final = 100  # with the most and longest bridges, some 20 million gas
max_bridges: Final = 8
"""As ``MAX_BRIDGES`` of the contract."""
_types: Final = ["(string,address,bytes32,string,string,string[],uint64)[]", "uint256", "uint256", "bytes32", "uint256"]


@dataclass(frozen=True)
class Node:
    """A node as it announced itself.

    ``key`` base64, ``endpoint`` and each of ``bridges`` (the TCP bridges before it) host:port, ``announced`` unix
    seconds.
    """

    id: str
    account: str
    key: str
    endpoint: str
    region: str
    announced: int
    bridges: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeRegistry:
    """The registry at ``address``; writers take the :class:`~berth.chain.transactions.Sender` who signs."""

    endpoint: Endpoint
    address: str

    def nodes(self, block: Block | Finality = "latest") -> tuple[Node, ...]:
        """Every announced node at one block.  Errors: NoContract, WrongChain, and the endpoint's."""
        where = block if isinstance(block, Block) else self.endpoint.block(block)
        found: list[Node] = []
        cursor, total = 0, 1
        while cursor < total:
            page, following, total = self._page(cursor, where)
            found += page
            if not cursor < following and total:
                raise NoContract(f"the contract at {self.address} gives pages that do not advance: it is not a {name}")
            cursor = following
        return tuple(found)

    def _page(self, cursor: int, block: Block) -> tuple[list[Node], int, int]:
        from eth_abi.abi import decode
        from eth_abi.exceptions import DecodingError

        data = self.endpoint.call(self.address, abi.encode_call("nodes(uint256,uint256)", cursor, page_nodes), block)
        if not data:
            self.endpoint.require_code(self.address, f"the {name}", block)
        try:
            rows, following, total, _, chain_id = decode(_types, data)
        except DecodingError as error:
            raise NoContract(
                f"the contract at {self.address} does not answer nodes as a {name} does: {error}"
            ) from None
        if chain_id != self.endpoint.chain_id:
            raise WrongChain(f"{self.endpoint.url} serves chain {chain_id}, not chain {self.endpoint.chain_id}")
        nodes = [
            Node(id, normalize_address(account), b64encode(key).decode(), endpoint, region, announced, tuple(bridges))
            for id, account, key, endpoint, region, bridges, announced in rows
        ]
        return nodes, following, total

    def account_of(self, node: str, block: Block | Finality = "latest") -> str | None:
        """Which account may announce ``node``; None where the operator does not allow it.  Errors as :meth:`nodes`."""
        from eth_abi.abi import encode

        where = block if isinstance(block, Block) else self.endpoint.block(block)
        data = self.endpoint.call(self.address, abi.selector("accountOf(string)") + encode(["string"], [node]), where)
        if not data:
            self.endpoint.require_code(self.address, f"the {name}", where)
        try:
            account = abi.address(data, 0)
        except ValueError as error:
            raise NoContract(
                f"the contract at {self.address} does not answer accountOf as a {name} does: {error}"
            ) from None
        return account if int(account, 16) else None

    def owner(self) -> str:
        """The operator: who may allow nodes."""
        where = self.endpoint.block()
        data = self.endpoint.call(self.address, abi.encode_call("owner()"), where)
        if not data:
            self.endpoint.require_code(self.address, f"the {name}", where)
        return abi.address(data, 0)

    def allow(self, sender: Sender, node: str, account: str) -> Receipt:
        """Allows ``account`` to announce ``node``; the registry's owner only."""
        return sender.send(name, self.address, "allow", node, account)

    def disallow(self, sender: Sender, node: str) -> Receipt:
        """Takes the node off the list; the registry's owner only."""
        return sender.send(name, self.address, "disallow", node)

    def announce(
        self, sender: Sender, node: str, key: str, endpoint: str, region: str, bridges: Sequence[str] = ()
    ) -> Receipt:
        """Announces the node's WireGuard public key (base64), ``host:port`` and bridges; the allowed account only."""
        return sender.send(name, self.address, "announce", node, key_bytes(key), endpoint, region, list(bridges))
