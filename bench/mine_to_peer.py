"""From a transaction mined to the new peer present on each of two real nodes, at 100 and at 10,000 passes.

``p50``, ``p99``: the slower of both nodes, from the moment at which the block was there (:meth:`Chain.mine`).
The baseline is a node that asks for the list every second and hands the whole of it to WireGuard, as such nodes
usually do: half a second of waiting on average, and the time to read the list once.
``apply_p99``: from the block's arrival at the agent to the read-back of the peer, as the node itself measures it.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Final

from bench.follow_lab import Chain, Node, world
from bench.harness import Measurement, median_seconds, progress
from bench.wireguard_lab import node_image, percentile
from berth.access.read import read_access_list
from berth.chain.dev import fresh_public_key

sizes: Final = (100, 10_000)
changes: Final = 300
_warm: Final = 10
_subnet: Final = IPv4Network("10.77.0.0/16")


def run() -> Iterator[Measurement]:
    """All figures, the smaller list first."""
    with node_image() as image:
        for size in sizes:
            progress(f"{size} passes, two nodes")
            with world(("node-1", "node-2"), size, image) as (chain, nodes):
                yield from _measure(chain, nodes, size)


def _measure(chain: Chain, nodes: list[Node], size: int) -> Iterator[Measurement]:
    def whole() -> None:
        read_access_list(chain.endpoint, chain.contracts.key_registry, _subnet)

    reading = median_seconds(whole) * 1000
    chain.by_hand()
    durations = []
    with nodes[0].watch() as first, nodes[1].watch() as second:
        for number in range(_warm + changes):
            key = fresh_public_key()
            chain.submit_key(number % size + 1, key)
            for watcher in (first, second):
                watcher.expect(key)
            mined = chain.mine()
            durations.append(max(watcher.seen() for watcher in (first, second)) - mined)
    found = durations[_warm:]
    yield Measurement("mine_to_peer", str(size), "p50", "ms", percentile(found, 0.5) * 1000, 500 + reading)
    yield Measurement("mine_to_peer", str(size), "p99", "ms", percentile(found, 0.99) * 1000, 990 + reading, 100)
    applied = max(node.stats()["apply"]["p99"] for node in nodes)
    yield Measurement("mine_to_peer", str(size), "apply_p99", "ms", applied, None, 20)
