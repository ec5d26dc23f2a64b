"""One peer added or removed, from the decision to its read-back, with 100 to 10,000 others, by a real wireguard-go.

The cases ``100`` to ``10000`` have a bare ``wg set`` as the baseline, which looks neither before nor after;
``100 syncconf`` and so on have ``wg syncconf`` of the whole file.  ``growth``: 10,000 peers against 100.  ``audit``:
one audit of all peers, which run while the changes are measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench.harness import Measurement, progress
from bench.wireguard_lab import Box, node_image, percentile

sizes: Final = (100, 1_000, 10_000)
changes: Final = 500  # peers that are added and removed again


def run() -> Iterator[Measurement]:
    """All figures, fewest peers first."""
    with node_image() as image:
        found = {}
        for size in sizes:
            progress(f"{size} peers")
            with Box(image) as box:
                found[size] = box.python("bench.peer_update_inside", str(size), str(changes))
    for size, seconds in found.items():
        for metric, share in (("p50", 0.5), ("p99", 0.99)):
            ours, bare, whole = (percentile(seconds[way], share) * 1000 for way in ("ours", "set", "syncconf"))
            target = 20 if metric == "p99" else None
            yield Measurement("peer_update", str(size), metric, "ms", ours, bare, target)
            yield Measurement("peer_update", f"{size} syncconf", metric, "ms", ours, whole)
    few, many = found[sizes[0]]["ours"], found[sizes[-1]]["ours"]
    for metric, share in (("growth_p50", 0.5), ("growth_p99", 0.99)):
        growth = percentile(many, share) / percentile(few, share)
        yield Measurement("peer_update", str(sizes[-1]), metric, "times", growth, None, 1.5)
    yield Measurement("peer_update", f"{sizes[-1]} audit", "seconds", "s", max(found[sizes[-1]]["audit"]), None, 1)
