"""A lease from being asked for to being gone, on a real daemon."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from tests.integration.leases.world import Servers, World, eventually

pytestmark = pytest.mark.docker

soon = 2.0  # seconds from the deadline to gone


def locked_down(attributes: dict[str, Any]) -> None:
    host = attributes["HostConfig"]
    assert attributes["Config"]["User"] == "1001:1001"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert not host["Binds"]
    assert not host["PortBindings"]
    assert host["Memory"] == host["MemorySwap"] == 32 << 20
    assert host["PidsLimit"] == 32
    assert host["NanoCpus"] == 500_000_000
    assert host["LogConfig"]["Config"]["max-size"]


def test_asked_for_running_and_gone_by_itself(world: World) -> None:
    made = world.provision("basic", user="alice")
    assert made["status"] == "running"
    (container,) = world.containers(made["id"])
    assert container.name == f"berth-{world.stack}-lease-{made['name']}"
    locked_down(container.attrs)
    assert container.labels["berth.lease.user"] == "alice"
    assert list(container.attrs["NetworkSettings"]["Networks"]) == [world.servers.network]
    shown = world.get(made["id"], "alice")
    assert shown["resources"]["memoryLimitBytes"] == 32 << 20
    assert shown["hostname"] == f"{made['name']}.test.localhost"
    assert 290 < shown["remainingSeconds"] <= 300


@pytest.mark.parametrize("scenario", ["basic", "stubborn"])
def test_it_is_gone_within_two_seconds_of_its_end(world: World, scenario: str) -> None:
    made = world.provision(scenario)
    world.shorten(made["id"], 9)
    ends = time.time() + 9
    eventually("the manager knows", lambda: bool(world.get(made["id"])["remainingSeconds"] < 9), 8)
    time.sleep(max(0, ends - time.time() - 0.7))
    assert world.containers(made["id"]), "removed early"
    eventually("it is gone", lambda: not world.containers(made["id"]), 10)
    assert 0 < time.time() - ends < soon
    eventually("it is said so", lambda: bool(world.get(made["id"])["phase"] == "gone"), 5)
    record = world.get(made["id"])
    assert record["status"] == "stopped"
    assert "its time is over" in record["why"]
    (stored,) = world.records(_id=made["id"])
    assert stored["slot"] is None


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_whole_minute_with_its_warning(servers: Servers, tmp_path: Path) -> None:
    world = World(servers, tmp_path, WARN_SECONDS="20").start()
    try:
        made = world.provision("basic", minutes=1)
        ends = datetime.fromisoformat(made["expiresAt"]).timestamp()
        time.sleep(max(0, ends - time.time() - 1))
        assert world.get(made["id"])["warned"]
        assert world.containers(made["id"]), "removed early"
        eventually("it is gone", lambda: not world.containers(made["id"]), 10)
        assert 0 < time.time() - ends < soon
    finally:
        world.close()


def test_deleted_at_once_and_again_is_no_error(world: World) -> None:
    made = world.provision("basic")
    for _ in range(2):
        assert world.call("DELETE", f"/api/containers/{made['id']}", params={"wait": 10}).status_code == 204
    assert not world.containers(made["id"])
    assert "its holder ended it" in world.get(made["id"])["why"]


def test_paused_keeps_its_time_and_goes_on(world: World) -> None:
    made = world.provision("basic")
    paused = world.call("POST", f"/api/containers/{made['id']}/pause").json()
    assert (paused["status"], paused["paused"]) == ("stopped", True)
    (container,) = world.containers(made["id"])
    assert container.status == "paused"
    time.sleep(1.5)
    assert world.get(made["id"])["remainingSeconds"] == pytest.approx(paused["remainingSeconds"], abs=0.01)
    resumed = world.call("POST", f"/api/containers/{made['id']}/resume").json()
    assert resumed["status"] == "running"
    assert resumed["remainingSeconds"] == pytest.approx(paused["remainingSeconds"], abs=0.5)
    container.reload()
    assert container.status == "running"
    refused = world.call("POST", f"/api/containers/{made['id']}/resume")
    assert refused.status_code == 200, "resuming what runs is no error"


def test_extended_up_to_the_longest_life(world: World) -> None:
    made = world.provision("basic", minutes=2)
    grown = world.call("POST", f"/api/containers/{made['id']}/extend", json={"minutes": 3}).json()
    assert grown["remainingSeconds"] == pytest.approx(300, abs=5)
    refused = world.call("POST", f"/api/containers/{made['id']}/extend", json={"minutes": 1440})
    assert (refused.status_code, refused.json()["reason"]) == (409, "limit-reached")
    key = {"Idempotency-Key": "once"}
    path = f"/api/containers/{made['id']}/extend"
    first, second = (world.call("POST", path, json={"minutes": 3}, headers=key).json() for _ in range(2))
    assert first["expiresAt"][:19] == second["expiresAt"][:19]
    other = world.call("POST", path, json={"minutes": 4}, headers=key)
    assert (other.status_code, other.json()["reason"]) == (422, "idempotency-mismatch")


def test_several_containers_live_and_die_as_one(world: World) -> None:
    made = world.provision("advanced")
    main, side = sorted(world.containers(made["id"]), key=lambda c: c.labels["berth.lease.role"])
    (network,) = world.networks()
    assert sorted(main.attrs["NetworkSettings"]["Networks"]) == sorted([world.servers.network, network.name])
    assert list(side.attrs["NetworkSettings"]["Networks"]) == [network.name]
    locked_down(side.attrs)
    assert main.exec_run("getent hosts side").exit_code == 0, "they find each other by role"
    assert world.call("DELETE", f"/api/containers/{made['id']}", params={"wait": 10}).status_code == 204
    assert not world.containers(made["id"])
    assert not world.networks()


def test_one_container_that_may_go_out_has_a_network_of_its_own(world: World) -> None:
    made = world.provision("outgoing")
    (container,), (network,) = world.containers(made["id"]), world.networks()
    assert not network.attrs["Internal"]
    assert sorted(container.attrs["NetworkSettings"]["Networks"]) == sorted([world.servers.network, network.name])
    (config,) = network.attrs["IPAM"]["Config"]
    # (docker-py may lose the first bytes of what a command prints.)
    shown = subprocess.run(["docker", "exec", container.id, "cat", "/proc/net/route"], capture_output=True, text=True)
    rows = [line.split() for line in shown.stdout.splitlines()[1:]]
    (default,) = [bytes.fromhex(row[2])[::-1] for row in rows if row[1] == "00000000"]
    assert str(IPv4Address(default)) == config["Gateway"], "what goes out goes by its own network, not by the bridge"
    assert world.call("DELETE", f"/api/containers/{made['id']}", params={"wait": 10}).status_code == 204
    assert not world.networks()


def test_what_it_is_told_is_in_a_file(world: World) -> None:
    made = world.provision("told", initialTokens=7)
    (container,) = world.containers(made["id"])
    told = json.loads(container.exec_run("cat /run/berth-lease/lease.json").output)
    assert (told["lease"], told["tokens"], told["host"]) == (made["id"], 7, made["hostname"])
    for file in ("lease.json", "other"):  # the volume is on the disk
        assert container.exec_run(f"sh -c 'echo x >> /run/berth-lease/{file}'").exit_code != 0


def test_an_image_that_cannot_be_had_is_told_and_leaves_nothing(world: World) -> None:
    body = {"imageType": "absent", "durationMinutes": 5}
    made = world.call("POST", "/api/provision", json=body, params={"wait": 30}).json()
    assert made["status"] == "error"
    assert "berth-test/not-there:1" in made["why"]
    eventually("it is gone", lambda: bool(world.get(made["id"])["phase"] == "gone"))
    shown = world.get(made["id"])
    assert shown["failure"]["dead"]
    assert not world.containers(made["id"])
    dead = world.call("GET", "/api/leases/dead-letters", headers=world.admin).json()
    assert made["id"] in [one["id"] for one in dead["containers"]]


def test_a_program_that_ends_by_itself_is_said_so(world: World) -> None:
    made = world.provision("short")
    eventually("it ended", lambda: bool(world.get(made["id"])["status"] == "error"))
    shown = world.get(made["id"])
    found = {
        status: world.call("GET", "/api/containers", params={"status": status, "limit": 1}).json()["containers"]
        for status in ("error", "running")
    }
    assert [one["id"] for one in found["error"]] == [made["id"]]
    assert made["id"] not in [one["id"] for one in found["running"]]
    assert "exit code 3" in shown["why"]
    assert shown["phase"] == "ready", "its holder may look at it until its time is over"


def test_what_somebody_removed_is_made_anew(world: World) -> None:
    made = world.provision("basic")
    (before,) = world.containers(made["id"])
    before.remove(force=True)
    eventually("it is made anew", lambda: [c.status for c in world.containers(made["id"])] == ["running"], 15)
    assert world.get(made["id"])["status"] == "running"


def test_the_one_container_of_a_user(world: World) -> None:
    path = "/api/users/bob/container"
    assert world.call("GET", path, "bob").status_code == 404
    made = world.call("PUT", path, "bob", json={"lifetime": 1, "scenarioType": "basic", "initialTokens": 5})
    again = world.call("PUT", path, "bob", json={"lifetime": 1, "scenarioType": "basic", "initialTokens": 5})
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["id"] == again.json()["id"]
    other = world.call("PUT", path, "bob", json={"lifetime": 2, "scenarioType": "basic"})
    assert (other.status_code, other.json()["reason"]) == (409, "exists")
    assert world.call("GET", path, "bob").json()["initialTokens"] == 5
    assert world.call("DELETE", path, "bob").status_code == 204
    eventually("it is gone", lambda: world.call("GET", path, "bob").status_code == 404)
