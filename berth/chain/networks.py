"""The chains that berth knows by name, with what a node takes as given for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from berth.chain.endpoint import Finality


@dataclass(frozen=True)
class Network:
    """``finality``: the block that additions and removals count from; ``block_seconds``: a new head at least so
    often, 0 for a chain that makes blocks on demand (an old head then says nothing about the endpoint)."""

    name: str
    chain_id: int
    finality: Finality
    rpc_urls: tuple[str, ...]
    block_seconds: float


networks: Final = {
    network.name: network
    for network in (
        # A rollup's `safe` block is on Ethereum, some minutes late; its sequencer has never taken a block back.
        Network("base", 8453, "latest", ("https://mainnet.base.org",), 2.0),
        Network("base-sepolia", 84532, "latest", ("https://sepolia.base.org",), 2.0),
        Network("ethereum", 1, "safe", ("https://ethereum-rpc.publicnode.com",), 12.0),
        # Young chains that mine on demand have block 0 as `safe` and `finalized`.
        Network("local", 31337, "latest", ("http://127.0.0.1:8545",), 0.0),
    )
}
"""By name, as NETWORK has it."""


def network_of(chain_id: int) -> Network | None:
    """The network with this chain id, if it is one that berth knows."""
    return next((network for network in networks.values() if network.chain_id == chain_id), None)
