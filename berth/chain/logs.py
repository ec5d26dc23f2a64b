"""Which passes one block touched: the events of our registry and of the collection, asked for by the block's hash.

Events are a hint and nothing more: what counts is asked anew for the passes that they name.  An endpoint that leaves
events out, or a collection without them, is found by reading the whole list now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from berth.chain.endpoint import Block, Endpoint
from berth.chain.errors import ChainUnreachable
from berth.chain.hashing import keccak


def _topic(signature: str) -> str:
    return "0x" + keccak(signature.encode()).hex()


_transfer: Final = _topic("Transfer(address,address,uint256)")
_update_user: Final = _topic("UpdateUser(uint256,address,uint64)")
# Which topic holds the token.  KeyRegistry's come first, then ERC-721, ERC-4907 and ERC-5643.
_token_at: Final = {
    _topic("KeyRegistered(uint256,address,bytes32,uint32,address)"): 1,
    _topic("KeyRevoked(uint256,address,bytes32,uint32)"): 1,
    _topic("DelegateSet(uint256,address,address)"): 1,
    _transfer: 3,
    _update_user: 1,
    _topic("SubscriptionUpdate(uint256,uint64)"): 1,
}
_most_time: Final = 2**63


@dataclass(frozen=True)
class Touched:
    """``tokens`` to look at again now; ``later``: (UNIX second, token) at which nothing will happen on chain and yet
    something may change: the end of a rental gives a pass back to an owner who may have a key registered."""

    tokens: frozenset[int]
    later: frozenset[tuple[int, int]] = frozenset()

    def __or__(self, other: Touched) -> Touched:
        return Touched(self.tokens | other.tokens, self.later | other.later)


nothing: Final = Touched(frozenset())


def touched(endpoint: Endpoint, addresses: Sequence[str], block: Block) -> Touched:
    """The passes that events of ``addresses`` in ``block`` name.  Errors: the endpoint's; BlockGone after a reorg."""
    question = {"blockHash": block.hash, "address": list(addresses), "topics": [list(_token_at)]}
    found = endpoint.request("eth_getLogs", question)
    if not isinstance(found, list):
        raise ChainUnreachable(f"{endpoint.url} answered eth_getLogs with no list: is it a JSON-RPC endpoint?")
    tokens: set[int] = set()
    later: set[tuple[int, int]] = set()
    for log in found:
        try:
            _read(log, block, tokens, later)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ChainUnreachable(
                f"{endpoint.url} answered eth_getLogs for block {block} with something else than its logs: {error}"
            ) from None
    return Touched(frozenset(tokens), frozenset(later))


def _read(log: Any, block: Block, tokens: set[int], later: set[tuple[int, int]]) -> None:
    if str(log["blockHash"]).lower() != block.hash:
        raise ValueError(f"a log of block {log['blockHash']}")
    topics = log["topics"]
    at = _token_at.get(str(topics[0]).lower()) if topics else None
    # A collection may have events of these names without indexed arguments: the audit sees what they would say.
    if at is None or len(topics) <= at:
        return
    token = int(topics[at], 16)
    tokens.add(token)
    if topics[0].lower() == _update_user:
        end = int(log["data"][:66], 16)
        if 0 < end < _most_time:
            later.add((end, token))
