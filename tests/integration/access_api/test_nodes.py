"""Which node a client takes, measured: three at a distance, one that dies, and load between equals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from berth.access.client import probe
from tests.stand_in import Answer, Asked, StandIn

distances = {"far": 0.100, "near": 0.005, "middle": 0.050}


class Far(StandIn):
    """Answers pings after a while, as a node at that distance would."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self.url += "/ping"

    def answer(self, asked: Asked) -> Answer:
        time.sleep(self._seconds)
        return 204, None


@pytest.fixture
def nodes() -> Iterator[dict[str, Far]]:
    made = {name: Far(seconds) for name, seconds in distances.items()}
    yield made
    for one in made.values():
        one.close()


def offered(nodes: dict[str, Far], **changes: Any) -> list[dict[str, Any]]:
    return [
        {"id": name, "probeUrl": one.url, "healthy": True, "connected": 0, **changes} for name, one in nodes.items()
    ]


def test_the_nearest_of_three_and_after_its_death_the_second(nodes: dict[str, Far]) -> None:
    assert probe.choose(probe.measure("http://gateway", offered(nodes))).node["id"] == "near"
    nodes["near"].close()
    # Its host is gone as well: nothing answers the probe, whatever the service still says of it.
    measured = probe.measure("http://gateway", offered(nodes))
    assert [one.node["id"] for one in probe.ranked(measured)] == ["middle", "far", "near"]
    assert all(one.seconds is None or one.seconds >= distances[one.node["id"]] for one in measured)
