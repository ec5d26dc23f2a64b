"""Docker's daemon restarted, under leases in every phase: none is lost, none leaks, none ends early."""

from __future__ import annotations

import copy
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.leases.own_docker import OwnDocker, own_docker
from tests.integration.leases.world import Servers, World, catalogue, eventually, template

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

converges_within = 35.0
# Ends in order when Docker asks it to, so that Docker's own restart policy leaves it alone.
orderly = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def own(daemon: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnDocker]:
    with own_docker(tmp_path_factory.mktemp("docker")) as made:
        made.take_image(daemon)
        yield made


@pytest.fixture
def world(servers: Servers, own: OwnDocker, tmp_path: Path) -> Iterator[World]:
    there = copy.copy(servers)  # the same MongoDB and Redis
    there.daemon = own.client
    if not own.client.networks.list(names=[servers.network]):
        own.add_network(servers.network)
    scenarios = catalogue(
        orderly={"containers": {"main": template(orderly)}},
        both={"containers": {"main": template(orderly), "side": template(orderly)}},
        pooled={"containers": {"main": template()}, "pool": 1},
    )
    made = World(there, tmp_path, scenarios, DOCKER_HOST=f"unix://{own.socket}", WARN_SECONDS="1")
    try:
        yield made.start()
    finally:
        made.close()


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Before:
    """Leases of every kind, and what of them has to be the same afterwards."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kept, self.both = world.provision("orderly"), world.provision("both")
        self.paused, self.ended = world.provision("orderly"), world.provision("short")
        self.over, self.deleted = world.provision("basic"), world.provision("basic")
        paused = world.call("POST", f"/api/containers/{self.paused['id']}/pause").json()
        self.left = paused["remainingSeconds"]
        eventually("its program ended", lambda: bool(world.get(self.ended["id"])["status"] == "error"))
        eventually("a container waits", self.waits)
        self.containers = {c.id for one in (self.kept, self.both, self.paused) for c in world.containers(one["id"])}

    def waits(self) -> bool:
        shown = self.world.call("GET", "/api/leases/overview", headers=self.world.admin).json()
        return bool(shown["pool"].get("pooled"))

    def still(self, asked: dict[str, Any] | None) -> None:
        """All is as it should be within the time that it may take."""
        world, started = self.world, time.monotonic()

        def running(one: Any, count: int) -> bool:
            states = [c.status for c in world.containers(one["id"])]
            return bool(world.get(one["id"])["status"] == "running" and states == ["running"] * count)

        wanted = [(self.kept, 1), (self.both, 2), *([(asked, 1)] if asked else [])]
        eventually("what ran runs", lambda: all(running(one, n) for one, n in wanted), converges_within)
        eventually("what waits waits", lambda: self._states(self.paused) == ["paused"], converges_within)
        eventually("what was over is gone", lambda: not world.containers(self.over["id"]), converges_within)
        eventually("what was ended is gone", lambda: not world.containers(self.deleted["id"]), converges_within)
        eventually("the pool is filled", self.waits, converges_within)
        assert time.monotonic() - started < converges_within
        for one in (self.kept, self.both):
            moved = moment(world.get(one["id"])["expiresAt"]) - moment(one["expiresAt"])
            assert abs(moved) < 0.01, "an outage neither costs nor gives time"
        there = {c.id for one in (self.kept, self.both, self.paused) for c in world.containers(one["id"])}
        assert there == self.containers, "they are the same containers"
        assert self._states(self.ended) == ["exited"], "what had ended by itself is not run again"
        assert world.get(self.paused["id"])["remainingSeconds"] == pytest.approx(self.left, abs=0.1)
        resumed = world.call("POST", f"/api/containers/{self.paused['id']}/resume").json()
        assert resumed["status"] == "running"
        main = next(c for c in world.containers(self.both["id"]) if c.labels["berth.lease.role"] == "main")
        assert main.exec_run("getent hosts side").exit_code == 0
        live = {r["_id"] for r in world.records(phase={"$ne": "gone"})}
        assert {c.labels["berth.lease"] for c in world.containers() if "-pool-" not in c.name} == live
        assert {r["_id"] for r in world.records(slot={"$ne": None})} == live

    def _states(self, one: Any) -> list[str]:
        return [c.status for c in self.world.containers(one["id"])]


@pytest.mark.parametrize(
    "how", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)], ids=["restarted", "killed"]
)
def test_docker_is_restarted(world: World, own: OwnDocker, how: signal.Signals) -> None:
    before = Before(world)
    own.stop(how)
    eventually("it is said so", lambda: world.http.get("/health").status_code == 503, 10)
    world.shorten(before.over["id"], 0.5)
    assert world.call("DELETE", f"/api/containers/{before.deleted['id']}").status_code == 204
    asked = world.call("POST", "/api/provision", json={"imageType": "basic", "durationMinutes": 5}).json()
    time.sleep(2)
    assert world.get(before.kept["id"])["phase"] == "ready", "what is not known is not gone"
    own.start()
    before.still(asked)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["restarted", "killed"])
def test_the_manager_goes_down_with_docker(world: World, own: OwnDocker, how: signal.Signals) -> None:
    """As in a stack, where it is one of the daemon's containers."""
    before = Before(world)
    world.shorten(before.over["id"], 8)
    eventually("it is noted that Docker is there", lambda: (world.folder / "docker-seen").exists(), 10)
    world.call("DELETE", f"/api/containers/{before.deleted['id']}")
    time.sleep(7)  # what stopped by itself did so before
    world.stop(signal.SIGKILL)
    own.stop(how)
    time.sleep(1)
    own.start()
    world.start()
    before.still(None)
