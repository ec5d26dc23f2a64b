"""The access list at one block, whole or not at all.

1 call for the block, then one per page, all for that block's hash (EIP-1898).  Every page proves itself
(the contract hashes its rows), says which chain it is of and how many rows there are; the pages must agree.
An endpoint that recomputes a false checksum can still lie: that takes a second endpoint to find out.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from typing import Final

from berth.access.errors import (
    CallFailed,
    ChainUnreachable,
    InconsistentList,
    OlderBlock,
    WrongChain,
)
from berth.access.model import AccessList, Block, Entry
from berth.access.tunnel import address_of, slots
from berth.chain.endpoint import Endpoint, Finality
from berth.chain.hashing import normalize_address
from berth.chain.key_registry import KeyRegistry, MalformedPage, Page, Peer

page_rows: Final = 1000
time_limit: Final = 300.0  # seconds for a whole list; 10,000 passes take a few
_zero_key: Final = b64encode(bytes(32)).decode()


def read_access_list(
    endpoint: Endpoint,
    registry: str,
    subnet: IPv4Network,
    block: Block | None = None,
    *,
    at: Finality = "latest",
    not_before: Block | None = None,
    rows: int = page_rows,
) -> AccessList:
    """The list of ``registry`` at ``block``, or at the endpoint's block ``at`` when none is given.

    ``not_before``: a block whose list is already known; an older one is refused (OlderBlock).  ``rows``: how
    many binding rows a call asks for; halved by itself when a call fails for gas.
    Errors: see :mod:`berth.access.errors`; whatever is raised, nothing is known about the list.
    """
    registry = normalize_address(registry)
    if block is None:
        block = endpoint.block(at)
    if not_before is not None:
        require_not_older(endpoint, block, not_before)
    peers: list[Peer] = []
    for page in _pages(KeyRegistry(endpoint, registry), block, rows):
        peers += page.peers
    _check_unique(peers, block)
    # A full subnet keeps new passes out.  It must not stop the list: then nobody could be removed any more either.
    entries, left_out = entries_of(peers, subnet)
    return AccessList(endpoint.chain_id, registry, block, tuple(entries), tuple(left_out))


def entries_of(peers: Iterable[Peer], subnet: IPv4Network) -> tuple[list[Entry], list[int]]:
    """Bindings that count as entries, in order of tokens; and the tokens whose slot has no address in ``subnet``."""
    last, entries, left_out = slots(subnet), [], []
    for peer in peers:
        if peer.slot <= last:
            entries.append(Entry(peer.token, peer.holder, peer.key, address_of(subnet, peer.slot), peer.expires))
        else:
            left_out.append(peer.token)
    entries.sort(key=lambda entry: entry.token)
    return entries, sorted(left_out)


def require_not_older(endpoint: Endpoint, block: Block, known: Block) -> None:
    """OlderBlock when ``endpoint`` answers for ``block``, and the list of the later block ``known`` was read before."""
    if block.number < known.number:
        raise OlderBlock(
            f"{endpoint.url} is at block {block}, but the list of block {known} is already known: "
            "the endpoint lags, or the chain was rolled back. Nothing was changed: try again when it is past that "
            "block, or set another berth:chain.rpcUrl"
        )


def _pages(registry: KeyRegistry, block: Block, rows: int) -> Iterator[Page]:
    cursor, total, deadline = 0, None, time.monotonic() + time_limit
    while total is None or cursor < total:
        # Each page may say that there is one more: without an end, an endpoint could keep an update for ever.
        if time.monotonic() > deadline:
            raise ChainUnreachable(
                f"{registry.endpoint.url} has not given the list whole within {time_limit:g} s "
                f"({cursor} of {total} rows so far): is the chain overloaded? Nothing was changed"
            )
        page, rows = _page(registry, cursor, rows, block)
        _check_page(page, cursor, rows, total, registry, block)
        yield page
        cursor, total = page.next, page.total


def _page(registry: KeyRegistry, cursor: int, rows: int, block: Block) -> tuple[Page, int]:
    """The page at ``cursor`` and how many rows it took: halved until the call has enough gas."""
    while True:
        try:
            return registry.active_peers(cursor, rows, block), rows
        except MalformedPage as error:
            raise InconsistentList(
                f"{registry.endpoint.url}, rows from {cursor} at block {block}: {error}. Nothing was changed; "
                "if it stays so, the endpoint cannot be trusted: set another berth:chain.rpcUrl"
            ) from None
        except CallFailed as error:
            # Nodes word a call out of gas differently, so any refusal halves the page: at one row it is certain.
            if rows == 1:
                registry.endpoint.check_chain()
                raise CallFailed(
                    f"row {cursor} of the registry {registry.address} cannot be read at block {block}: {error}. "
                    f"Is the contract there a KeyRegistry?",
                    error.code,
                    error.data,
                ) from None
            rows //= 2


def _check_page(page: Page, cursor: int, rows: int, total: int | None, registry: KeyRegistry, block: Block) -> None:
    endpoint = registry.endpoint
    if page.chain_id != endpoint.chain_id:
        raise WrongChain(
            f"{endpoint.url} serves chain {page.chain_id}, but the stack is set to chain {endpoint.chain_id}: "
            "correct berth:chain.rpcUrl or berth:chain.chainId"
        )
    where = f"{endpoint.url} at block {block}"
    if total is not None and page.total != total:
        raise InconsistentList(f"{where}: {total} rows on one page, {page.total} on the next")
    end = min(cursor + rows, page.total)
    # At the end of an empty registry the cursor has nowhere to go; anywhere else it must advance.
    if not (cursor < page.next <= end or cursor == page.next == page.total):
        raise InconsistentList(f"{where}: the page from row {cursor} of {page.total} says that the next is {page.next}")
    # Row i has slot i + 1 for ever, so slots ascend within the rows of their page, and no two peers share one.
    last = cursor
    for peer in page.peers:
        if not last < peer.slot <= page.next:
            raise InconsistentList(
                f"{where}: slot {peer.slot} (token {peer.token}) does not belong after slot {last}, "
                f"on the page of rows {cursor} to {page.next}"
            )
        last = peer.slot


def _check_unique(peers: list[Peer], block: Block) -> None:
    """The contract never lets two passes share a key: WireGuard would give one peer's traffic to the other."""
    tokens: set[int] = set()
    keys: dict[str, int] = {}
    for peer in peers:
        if peer.key == _zero_key:
            raise InconsistentList(f"at block {block} token {peer.token} has the zero key")
        if peer.token in tokens:
            raise InconsistentList(f"at block {block} token {peer.token} stands twice in the list")
        tokens.add(peer.token)
        if keys.setdefault(peer.key, peer.token) != peer.token:
            raise InconsistentList(f"at block {block} tokens {keys[peer.key]} and {peer.token} have the same key")
