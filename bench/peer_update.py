"""One peer added or removed, from the decision to its read-back, with 100 to 10,000 others, by a real wireguard-go.

The cases ``100`` to ``10000`` have a bare ``wg set`` as the baseline, which looks neither before nor after;
``100 syncconf`` and so on have ``wg syncconf`` of the whole file.  ``growth``: 10,000 peers against 100.  ``audit``:
one audit of all peers, which run while the changes are measured.

The sizes take turns, and each figure is the median of the turns': ten of a turn's thousand changes make its p99, so
one of them alone says little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Final

from bench.harness import Measurement, progress
from bench.wireguard_lab import Box, node_image, percentile

Times = Mapping[str, list[float]]  # seconds, as bench.peer_update_inside says them

sizes: Final = (100, 1_000, 10_000)
turns: Final = 3
changes: Final = 500  # peers that are added and removed again


def run() -> Iterator[Measurement]:
    """All figures, fewest peers first."""
    with node_image() as image:
        found: dict[int, list[Times]] = {size: [] for size in sizes}
        for turn in range(turns):
            for size in sizes:
                progress(f"{size} peers, turn {turn + 1} of {turns}")
                with Box(image) as box:
                    found[size].append(box.python("bench.peer_update_inside", str(size), str(changes)))
    for size in sizes:
        for metric, share in (("p50", 0.5), ("p99", 0.99)):
            ours, bare, whole = (_of_turns(found[size], way, share) * 1000 for way in ("ours", "set", "syncconf"))
            target = 20 if metric == "p99" else None
            yield Measurement("peer_update", str(size), metric, "ms", ours, bare, target)
            yield Measurement("peer_update", f"{size} syncconf", metric, "ms", ours, whole)
    few, many = found[sizes[0]], found[sizes[-1]]
    for metric, share in (("growth_p50", 0.5), ("growth_p99", 0.99)):
        growth = _of_turns(many, "ours", share) / _of_turns(few, "ours", share)
        yield Measurement("peer_update", str(sizes[-1]), metric, "times", growth, None, 1.5)
    audit = max(seconds for times in many for seconds in times["audit"])
    yield Measurement("peer_update", f"{sizes[-1]} audit", "seconds", "s", audit, None, 1)


def _of_turns(found: list[Times], way: str, share: float) -> float:
    return median(percentile(times[way], share) for times in found)
