"""A lease from the pool, whose container was made long before and waited, paused or running."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.integration.leases.world import Servers, World, catalogue, eventually, template

pytestmark = pytest.mark.docker

interval = 2.0  # seconds between health checks


@pytest.fixture(params=["paused", "running"])
def world(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[World]:
    checked = template(health={"command": ["test", "-e", "/tmp"], "interval": interval, "timeout": 1, "retries": 1})
    scenarios = catalogue(checked={"containers": {"main": checked}, "pool": 1})
    made = World(servers, tmp_path, scenarios, POOL_WAITS=request.param)
    try:
        yield made.start()
    finally:
        made.close()


def waiting(world: World) -> list[Container]:
    return [c for c in world.containers() if "-pool-" in c.name and c.status == world.environment["POOL_WAITS"]]


def test_who_waited_is_leased_and_another_waits_in_its_place(world: World) -> None:
    eventually("one waits", lambda: len(waiting(world)) == 1, 30)
    first = waiting(world)[0]
    world.stop(signal.SIGKILL)
    world.start()
    eventually(
        "it is adopted", lambda: 'berth_lease_pool{scenario="checked"} 1.0' in world.call("GET", "/metrics").text
    )
    made = world.provision("checked")
    assert made["warm"]
    assert [container.id for container in world.containers(made["id"])] == [first.id]
    first.reload()
    assert (first.status, "-lease-" in first.name) == ("running", True)
    cold = world.provision("basic")
    page = world.call("GET", "/api/containers", params={"limit": 1}).json()
    following = world.call("GET", "/api/containers", params={"limit": 1, "cursor": page["next"]}).json()
    shown = [one["id"] for one in (*page["containers"], *following["containers"])]
    assert shown == [cold["id"], made["id"]], "the newest lease first, however old its container is"
    eventually("another waits", lambda: [c.id for c in waiting(world)] not in ([], [first.id]), 30)
    waiting(world)[0].stop(timeout=0)
    eventually("what waits no longer is replaced", lambda: len(waiting(world)) == 1, 40)


@pytest.mark.parametrize("world", ["paused"], indirect=True)
def test_what_waited_is_not_called_unhealthy(world: World) -> None:
    def frozen_is_unhealthy() -> bool:
        frozen = waiting(world)
        return bool(frozen) and frozen[0].attrs["State"]["Health"]["Status"] == "unhealthy"

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
