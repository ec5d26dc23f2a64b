"""A lease from the pool, whose container was made and paused long before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.leases.world import Servers, World, catalogue, eventually, template

pytestmark = pytest.mark.docker

interval = 2.0  # seconds between health checks


@pytest.fixture
def world(servers: Servers, tmp_path: Path) -> Iterator[World]:
    checked = template(health={"command": ["test", "-e", "/tmp"], "interval": interval, "timeout": 1, "retries": 1})
    made = World(servers, tmp_path, catalogue(checked={"containers": {"main": checked}, "pool": 1}))
    try:
        yield made.start()
    finally:
        made.close()


def test_what_waited_is_not_called_unhealthy(world: World) -> None:
    def frozen_is_unhealthy() -> bool:
        waiting = [c for c in world.containers() if "-pool-" in c.name and c.status == "paused"]
        return bool(waiting) and waiting[0].attrs["State"]["Health"]["Status"] == "unhealthy"

    eventually("Docker finds what is paused unhealthy", frozen_is_unhealthy, 30)
    made = world.provision("checked")
    assert made["warm"]
    seen = set[str]()
    ends = time.monotonic() + interval + 2
    while time.monotonic() < ends and "healthy" not in seen:
        seen.add(world.get(made["id"])["health"])
        time.sleep(0.1)
    assert seen <= {"starting", "healthy"}
    eventually("its own checks count", lambda: bool(world.get(made["id"])["health"] == "healthy"), 2 * interval + 3)
    told = [line for line in world.log if line.get("event") == "health" and line.get("lease") == made["id"]]
    assert not [line for line in told if "unhealthy" in line["told"]], "nobody is told so either"
