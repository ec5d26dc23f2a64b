"""iperf3 and ping through WireGuard: through the bridge, against the same WireGuard direct and against other bridges.

The ways take turns for some rounds in one run on the same two containers, and the medians count. ``bridge`` against
``direct`` is what the bridge costs; against the crate ``udp-over-tcp`` and socat it is what else could be installed.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from bench.bridge_lab import Pair, Way, bridge_image, crate, direct, network, ours, socat
from bench.harness import Measurement, progress
from bench.wireguard_lab import Box

rounds: Final = 3
seconds: Final = 5.0
_share: Final = 0.6
_added: Final = 0.5  # milliseconds


def run() -> Iterator[Measurement]:
    """All figures."""
    sent: dict[str, list[float]] = defaultdict(list)
    received: dict[str, list[float]] = defaultdict(list)
    pings: dict[str, list[float]] = defaultdict(list)
    with bridge_image() as image, network() as name, Box(image, name) as server, Box(image, name) as client:
        pair = Pair(server, client)
        for number in range(rounds):
            for way in (direct, ours, crate, socat):
                _measure(pair, way, number, sent, received, pings)
    middle = {
        which: {way: statistics.median(found) for way, found in figures.items()}
        for which, figures in (("upload", sent), ("download", received), ("ping", pings))
    }
    for which in ("upload", "download"):
        figures = middle[which]
        best = max(figures[crate.name], figures[socat.name])
        yield Measurement(
            "bridge_throughput",
            f"{which} against direct",
            "throughput",
            "Mbit/s",
            figures[ours.name],
            figures[direct.name],
            _share * figures[direct.name],
            "at least",
        )
        yield Measurement(
            "bridge_throughput",
            f"{which} against the fastest other",
            "throughput",
            "Mbit/s",
            figures[ours.name],
            best,
            best,
            "at least",
        )
        yield Measurement(
            "bridge_throughput", f"{which}, socat", "throughput", "Mbit/s", figures[socat.name], figures[direct.name]
        )
    added = middle["ping"][ours.name] - middle["ping"][direct.name]
    other = middle["ping"][crate.name] - middle["ping"][direct.name]
    yield Measurement("bridge_throughput", "added to a ping", "p50", "ms", added, other, _added)


def _measure(
    pair: Pair,
    way: Way,
    number: int,
    sent: dict[str, list[float]],
    received: dict[str, list[float]],
    pings: dict[str, list[float]],
) -> None:
    with pair.over(way):
        pings[way.name].append(pair.ping())
        sent[way.name].append(pair.mbits(seconds))
        received[way.name].append(pair.mbits(seconds, reverse=True))
    progress(
        f"round {number + 1}, {way.name}: {sent[way.name][-1]:.0f} Mbit/s up, {received[way.name][-1]:.0f} down, "
        f"ping {pings[way.name][-1]:.3f} ms"
    )
