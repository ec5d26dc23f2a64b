"""How far the nodes are, and which to take: the nearest that is well, and of equals the one with fewer clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any, Final
from urllib.parse import urljoin

import httpx

from berth.access.client.errors import NothingToUse
from berth.kit.client import WrongUsage

tries: Final = 3
_timeout: Final = httpx.Timeout(2.0)
_equal_seconds: Final = 0.005
_equal_share: Final = 0.2  # differences below either say nothing: networks vary by more


@dataclass(frozen=True)
class Measured:
    """A node and its round trip in seconds; None where it did not answer or says nothing of where to ask."""

    node: Mapping[str, Any]
    seconds: float | None


Measure = Callable[[str], float | None]


def round_trip(url: str) -> float | None:
    """The median of some requests over one connection, in seconds; None where one fails."""
    taken = []
    try:
        with httpx.Client(timeout=_timeout) as client:
            for attempt in range(tries + 1):
                started = time.perf_counter()
                client.get(url).raise_for_status()
                if attempt:  # the first one also connects
                    taken.append(time.perf_counter() - started)
    except httpx.HTTPError:
        return None
    return median(taken)


def measure(base: str, nodes: Sequence[Mapping[str, Any]], ask: Measure = round_trip) -> list[Measured]:
    """Every node, all at once; ``base`` is the gateway's URL, which relative probe URLs belong to."""

    def one(node: Mapping[str, Any]) -> Measured:
        probe = node.get("probeUrl")
        return Measured(node, ask(urljoin(base + "/", probe)) if probe else None)

    if not nodes:
        return []
    with ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(one, nodes))


def ranked(measured: Sequence[Measured]) -> list[Measured]:
    """Best first.  Nodes that are not well are left out; those that could not be measured come last."""
    well = [one for one in measured if one.node.get("healthy") is not False]
    reached = sorted((one for one in well if one.seconds is not None), key=lambda one: one.seconds or 0.0)
    ordered: list[Measured] = []
    while reached:
        # All that are as near as the nearest left, by load.
        limit = (reached[0].seconds or 0.0) * (1 + _equal_share) + _equal_seconds
        equals = [one for one in reached if (one.seconds or 0.0) <= limit]
        ordered += sorted(equals, key=_load)
        reached = reached[len(equals) :]
    return ordered + sorted((one for one in well if one.seconds is None), key=_load)


def choose(measured: Sequence[Measured], wanted: str = "") -> Measured:
    """The best node, or the one named ``wanted``; NothingToUse and WrongUsage say what there is."""
    if wanted:
        found = [one for one in measured if one.node["id"] == wanted]
        if not found:
            known = ", ".join(str(one.node["id"]) for one in measured) or "none"
            raise WrongUsage(f"there is no node {wanted}; on offer: {known}")
        return found[0]
    best = ranked(measured)
    if not best:
        raise NothingToUse(
            "no node is well right now: try again in a minute, or ask the operator"
            if measured
            else "no node has announced itself yet: ask the operator"
        )
    return best[0]


def _load(one: Measured) -> tuple[int, str]:
    return int(one.node.get("connected") or 0), str(one.node["id"])
