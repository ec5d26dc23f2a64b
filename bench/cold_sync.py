"""A new node with 10,000 passes on the chain: how long until all are its peers, and how much memory its agent takes.

``seconds``: from the container's creation until the node is healthy, less what the same takes without any pass (the
baseline).  ``memory_mib``: what the agent has in memory once it has followed some blocks and audited the list;
``peak_mib``: what it had at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from bench.follow_lab import Chain, Node, world
from bench.harness import Measurement, progress
from bench.wireguard_lab import node_image
from berth.chain.dev import fresh_public_key

size: Final = 10_000
_times: Final = 3
_blocks: Final = 50


def run() -> Iterator[Measurement]:
    """Seconds and memory."""
    with node_image() as image:
        progress("no passes")
        with world((), 0, image) as (chain, _):
            empty = _start(image, chain)
        progress(f"{size} passes")
        with world((), size, image) as (chain, _):
            full = _start(image, chain)
            yield Measurement("cold_sync", str(size), "seconds", "s", full - empty, empty, 5)
            now, peak = _live(image, chain)
            yield Measurement("cold_sync", str(size), "memory_mib", "MiB", now, None, 150)
            yield Measurement("cold_sync", str(size), "peak_mib", "MiB", peak)


def _start(image: str, chain: Chain) -> float:
    """The median time to be healthy."""
    found = []
    for _ in range(_times):
        with Node(image, chain.network, chain, "node-1") as node:
            found.append(node.await_ready())
    return sorted(found)[len(found) // 2]


def _live(image: str, chain: Chain) -> tuple[float, float]:
    with Node(image, chain.network, chain, "node-1", SYNC_INTERVAL="2000") as node:
        node.await_ready()
        chain.by_hand()
        for number in range(_blocks):
            chain.submit_key(number + 1, fresh_public_key())
            chain.mine()
        time.sleep(6)  # two audits
        assert node.stats()["peers"]["total"] == size
        return node.memory()
