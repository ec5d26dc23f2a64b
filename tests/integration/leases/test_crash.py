"""Killed at every named step, the manager takes up what it left: nothing lost, nothing leaked, nothing early."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from berth.leases.engine import crash
from tests.integration.leases.world import Servers, World, catalogue, eventually, template

pytestmark = pytest.mark.docker

converges_within = 35.0
quick = {"provision.started", "claim.renamed", "removal.removed"}


def tried(points: list[str]) -> list[Any]:
    """Some in every run, all of them in the long one."""
    return [pytest.param(p, marks=() if p in quick else pytest.mark.slow) for p in points]


making = [p for p in crash.points if p.startswith("provision.")]
claiming = [p for p in crash.points if p.startswith("claim.")]
filling = [p for p in crash.points if p.startswith("pool.")]
removing = [p for p in crash.points if p.startswith("removal.")]


def test_every_point_is_tried_here() -> None:
    assert sorted([*making, *claiming, *filling, *removing]) == sorted(crash.points)
    source = "".join(path.read_text() for path in Path(crash.__file__).parent.rglob("*.py"))
    for point in crash.points:
        assert source.count(f'"{point}"') >= 2, f"{point} is named, but nothing passes it"


@pytest.fixture
def world(servers: Servers, tmp_path: Path) -> Iterator[World]:
    both = {"containers": {"main": template(), "side": template()}, "told": True}
    pooled = {"containers": {"main": template()}, "pool": 1}
    made = World(servers, tmp_path, catalogue(both=both, pooled=pooled), WARN_SECONDS="1")
    try:
        yield made
    finally:
        made.close()


def ask(world: World, scenario: str, key: str, wait: float = 0) -> Any:
    """Asks for a lease; None where the manager died while it was asked."""
    body = {"imageType": scenario, "durationMinutes": 5}
    try:
        response = world.call(
            "POST", "/api/provision", json=body, headers={"Idempotency-Key": key}, params={"wait": wait}
        )
    except httpx.HTTPError:
        return None
    assert response.status_code in (200, 201), response.text
    return response.json()


def pooled(world: World) -> bool:
    return bool(world.call("GET", "/api/leases/overview", headers=world.admin).json()["pool"].get("pooled"))


def settle(world: World, identifier: str, containers: int) -> float:
    """Seconds until the lease runs with so many containers."""

    def runs() -> bool:
        states = [c.status for c in world.containers(identifier)]
        return bool(world.get(identifier)["phase"] == "ready" and states == ["running"] * containers)

    return eventually("the lease runs", runs, converges_within, (httpx.HTTPError,))


def holds(world: World) -> None:
    """What has to hold at any quiet moment: containers are of leases, places of the quota are of live ones."""
    records = {record["_id"]: record for record in world.records()}
    live = {i for i, r in records.items() if r["phase"] != "gone"}
    assert {c.labels["berth.lease"] for c in world.containers() if "-pool-" not in c.name} == live
    assert {i for i, r in records.items() if r["slot"] is not None} == live
    assert len({n.name for n in world.networks()}) == len([i for i in live if records[i]["scenario"] == "both"])


@pytest.mark.parametrize("point", tried([*making, *claiming]))
def test_killed_while_making_one(world: World, point: str) -> None:
    scenario = "pooled" if point in claiming else "both"
    if scenario == "pooled":
        world.start(BERTH_CRASH_AT=point)
        eventually("a container waits", lambda: pooled(world), 20)
    else:
        world.start(BERTH_CRASH_AT=point)
    ask(world, scenario, "a-key", wait=10)
    assert world.died() == -signal.SIGKILL
    started = time.monotonic()
    world.start()
    made = ask(world, scenario, "a-key")
    settle(world, made["id"], 2 if scenario == "both" else 1)
    assert time.monotonic() - started < converges_within
    assert len([r for r in world.records() if r["phase"] != "gone"]) == 1, "the same request is the same lease"
    assert made["remainingSeconds"] > 240, "the crash cost it nothing but the time that passed"
    holds(world)


@pytest.mark.parametrize("point", tried(filling))
def test_killed_while_filling_the_pool(world: World, point: str) -> None:
    world.start(wait=False, BERTH_CRASH_AT=point)
    assert world.died() == -signal.SIGKILL
    world.start()
    eventually("a container waits", lambda: pooled(world), converges_within)
    eventually("just one", lambda: [c.status for c in world.containers()] == ["paused"], 10)


@pytest.mark.parametrize("point", tried(removing))
def test_killed_while_removing_one(world: World, point: str) -> None:
    world.start()
    kept = ask(world, "basic", "kept", wait=10)
    made = ask(world, "both", "removed", wait=10)
    world.stop()
    world.start(BERTH_CRASH_AT=point)
    if point == "removal.expiring":
        world.shorten(made["id"], 1)
    else:
        with suppress(httpx.HTTPError):  # it may die before it can answer
            world.call("DELETE", f"/api/containers/{made['id']}")
    assert world.died() == -signal.SIGKILL
    started = time.monotonic()
    world.start()
    eventually("it is gone", lambda: not world.containers(made["id"]), converges_within)
    eventually("it is said so", lambda: bool(world.get(made["id"])["phase"] == "gone"), converges_within)
    assert time.monotonic() - started < converges_within
    assert world.get(kept["id"])["status"] == "running"
    holds(world)
