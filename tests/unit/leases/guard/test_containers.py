"""Which bodies of containers are let through, and what of them is passed on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from berth.leases.guard.containers import container
from berth.leases.guard.errors import Refused
from berth.leases.guard.strict import decode, encode
from tests.unit.leases.guard.world import body, labels, policy, shell

Change = Callable[[dict[str, Any]], Any]


def refused(given: Any, **policy_changes: Any) -> str:
    with pytest.raises(Refused) as found:
        container(policy(**policy_changes), decode(encode(given)))
    return found.value.reason


def test_a_plain_lease_is_passed_on_as_it_is() -> None:
    given = body()
    assert container(policy(), decode(encode(given))) == given


def test_what_is_empty_and_unknown_is_left_out() -> None:
    """Docker's clients send every field that there is; an empty one says nothing, or less than its default."""
    given = body(Privileged=False, Binds=[], Devices=[], PidMode="", CgroupParent="", MaskedPaths=[])
    made = container(policy(), given)
    assert not {"Privileged", "Binds", "Devices", "PidMode", "CgroupParent", "MaskedPaths"} & set(made["HostConfig"])


host_attacks: list[tuple[str, Any]] = [
    ("Privileged", True),
    ("Binds", ["/:/host"]),
    ("Binds", ["named:/data"]),
    ("Mounts", [{"Type": "bind", "Source": "/", "Target": "/host"}]),
    ("Mounts", [{"Type": "volume", "Source": "mongo", "Target": "/data"}]),
    ("VolumesFrom", ["berth-dev-mongo-repl-1"]),
    ("NetworkMode", "host"),
    ("NetworkMode", "container:berth-dev-mongo-repl-1"),
    ("NetworkMode", "bridge"),
    ("NetworkMode", "default"),
    ("NetworkMode", ""),
    ("NetworkMode", None),
    ("PidMode", "host"),
    ("PidMode", "container:x"),
    ("IpcMode", "host"),
    ("IpcMode", "shareable"),
    ("IpcMode", "container:x"),
    ("UTSMode", "host"),
    ("UsernsMode", "host"),
    ("CgroupnsMode", "host"),
    ("CgroupParent", "/system.slice"),
    ("Cgroup", "container:x"),
    ("CapAdd", ["NET_RAW"]),
    ("CapAdd", ["ALL"]),
    ("CapDrop", []),
    ("CapDrop", ["NET_RAW"]),
    ("CapDrop", None),
    ("CapDrop", "ALL"),
    ("Devices", [{"PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/kmsg", "CgroupPermissions": "r"}]),
    ("DeviceCgroupRules", ["a *:* rwm"]),
    ("DeviceRequests", [{"Count": -1, "Capabilities": [["gpu"]]}]),
    ("SecurityOpt", ["seccomp=unconfined"]),
    ("SecurityOpt", ["no-new-privileges:true", "seccomp=unconfined"]),
    ("SecurityOpt", ["no-new-privileges:true", "apparmor=unconfined"]),
    ("SecurityOpt", ["no-new-privileges:false"]),
    ("SecurityOpt", ["no-new-privileges=false"]),
    ("SecurityOpt", ["label=disable"]),
    ("SecurityOpt", ["systempaths=unconfined"]),
    ("SecurityOpt", []),
    ("SecurityOpt", None),
    ("Memory", None),
    ("Memory", 0),
    ("Memory", -1),
    ("Memory", 513 * 1024 * 1024),
    ("Memory", "64m"),
    ("Memory", True),
    ("Memory", 6.5e7),
    ("MemorySwap", -1),
    ("MemorySwap", 200 * 1024 * 1024),
    ("NanoCpus", None),
    ("NanoCpus", 0),
    ("NanoCpus", 1_000_000_001),
    ("CpuPeriod", 100_000),
    ("CpuQuota", -1),
    ("PidsLimit", None),
    ("PidsLimit", 0),
    ("PidsLimit", -1),
    ("PidsLimit", 129),
    ("OomKillDisable", True),
    ("OomScoreAdj", -1000),
    ("ReadonlyRootfs", False),
    ("ReadonlyRootfs", None),
    ("Tmpfs", {"/tmp": "rw"}),
    ("Tmpfs", {"/tmp": "rw,size=65m"}),
    ("Tmpfs", {"/tmp": "size=16m,size=9g"}),
    ("Tmpfs", {"/tmp": "size=16m,suid"}),
    ("Tmpfs", {"/tmp": "size=16m,dev"}),
    ("Tmpfs", {"/../x": "size=16m"}),
    ("Tmpfs", {"/": "size=16m"}),
    ("PortBindings", {"80/tcp": [{"HostPort": "80"}]}),
    ("PublishAllPorts", True),
    ("ExtraHosts", ["mongo-repl-1:10.0.0.1"]),
    ("Dns", ["10.0.0.1"]),
    ("Links", ["berth-dev-redis:redis"]),
    ("GroupAdd", ["0"]),
    ("Sysctls", {"net.ipv4.ip_forward": "1"}),
    ("Runtime", "other"),
    ("Isolation", "hyperv"),
    ("VolumeDriver", "local"),
    ("MaskedPaths", ["/none"]),
    ("ReadonlyPaths", ["/none"]),
    ("RestartPolicy", {"Name": "always"}),
    ("LogConfig", None),
    ("LogConfig", {"Type": "syslog", "Config": {"syslog-address": "tcp://10.0.0.1:514"}}),
    ("LogConfig", {"Type": "json-file", "Config": {}}),
    ("LogConfig", {"Type": "json-file", "Config": {"max-size": "-1"}}),
    ("LogConfig", {"Type": "json-file", "Config": {"max-size": "1g"}}),
    ("ContainerIDFile", "/etc/x"),
    ("AutoRemove", True),
    ("StorageOpt", {"dm.basesize": "1g"}),
]


@pytest.mark.parametrize(("key", "value"), host_attacks, ids=lambda value: str(value)[:40])
def test_what_would_reach_beyond_the_lease_is_refused(key: str, value: Any) -> None:
    assert f"body.HostConfig.{key}" in refused(body(**{key: value}))


config_attacks: list[tuple[str, Any]] = [
    ("Image", "debian:bookworm-slim"),
    ("Image", "berth/lease-shell"),
    ("Image", None),
    ("User", ""),
    ("User", "0"),
    ("User", "0:0"),
    ("User", "root"),
    ("User", "1001:0"),
    ("User", "01001"),
    ("User", "1001:1001\n"),
    ("User", None),
    ("Volumes", {"/data": {}}),
    ("Volumes", {"/run/berth-lease": {"x": 1}}),
    ("OpenStdin", True),
    ("Domainname", "x"),
    ("MacAddress", "02:42:ac:11:00:02"),
    ("NetworkDisabled", True),
    ("Shell", ["/bin/sh"]),
    ("Hostname", "a b"),
    ("Labels", {}),
    ("Labels", {**labels(), "berth.stack": "berth/prod"}),
    ("Labels", {**labels(), "berth.urn": "urn:pulumi:x"}),
    ("Labels", {**labels(), "com.docker.swarm.task": "x"}),
    ("Labels", {**labels(), "berth.lease": ""}),
    ("Labels", {**labels(), "berth.lease.until": "never"}),
    ("Labels", {**labels(), "berth.lease.until": str(int(time.time()) + 90 * 86_400)}),
    ("HostConfig", None),
    ("HostConfig", []),
    ("Env", "A=1"),
    ("Env", ["A=\0"]),
]


@pytest.mark.parametrize(("key", "value"), config_attacks, ids=lambda value: str(value)[:40])
def test_who_it_runs_as_and_what_it_is_called_is_checked(key: str, value: Any) -> None:
    given = {name: each for name, each in {**body(), key: value}.items() if each is not None}
    assert f"body.{key}" in refused(given)


def test_a_container_needs_its_hard_end() -> None:
    given = body()
    del given["Labels"]["berth.lease.until"]
    assert "berth.lease.until" in refused(given)


@pytest.mark.parametrize(
    "written",
    [
        '{"HostConfig": {}, "HostConfig": {"Privileged": true}}',
        '{"Image": "a", "Image": "b"}',
        '{"Labels": {"berth.stack": "a", "berth.stack": "b"}}',
    ],
)
def test_a_key_that_is_there_twice_is_refused(written: str) -> None:
    with pytest.raises(Refused, match="is there twice"):
        decode(written.encode())


@pytest.mark.parametrize("key", ["privileged", "PRIVILEGED", "PriVileged", "binds", "capadd", "networkmode", "memory"])
def test_docker_reads_keys_in_any_case_and_so_does_the_guard(key: str) -> None:
    given = body()
    given["HostConfig"][key] = True
    assert f"body.HostConfig.{key}" in refused(given)


def test_another_case_of_hostconfig_does_not_slip_by() -> None:
    for key in ("hostconfig", "HOSTCONFIG", "hostConfig", "HoſtConfig"):
        given = body()
        given[key] = {"Privileged": True}
        assert "body." in refused(given)


def test_an_empty_value_in_another_case_does_not_unset_a_checked_one() -> None:
    given = body()
    given["HostConfig"]["capdrop"] = []
    assert "in different case" in refused(given)


def test_images_that_the_settings_name_may_write_to_their_root() -> None:
    given = body(ReadonlyRootfs=False)
    given["Image"] = shell
    assert container(policy(), given)["HostConfig"]["ReadonlyRootfs"] is False


@pytest.mark.parametrize(
    "places",
    [
        {"berth-dev-inside": {}},
        {"berth-dev-leases": {"Aliases": ["chain"]}},
        {"berth-dev-leases": {"IPAMConfig": {"IPv4Address": "10.90.0.10"}}},
        {"berth-dev-leases": {"MacAddress": "02:42:ac:11:00:02"}},
        {"berth-dev-leases": {"Links": ["x"]}},
        {"berth-dev-leases": {}, "berth-dev-inside": {}},
    ],
)
def test_nobody_takes_another_place_name_or_address_on_the_network(places: dict[str, Any]) -> None:
    given = {**body(), "NetworkingConfig": {"EndpointsConfig": places}}
    assert "body.NetworkingConfig" in refused(given)


def test_containers_of_one_lease_may_know_each_other_by_name_on_their_own_network() -> None:
    given = body(NetworkMode="berth-dev-lease-pair")
    given["NetworkingConfig"] = {"EndpointsConfig": {"berth-dev-lease-pair": {"Aliases": ["mongo"]}}}
    assert container(policy(), given) == given


@pytest.mark.parametrize("written", ["", "{", "[", "nul", "NaN", '{"a": Infinity}', "[" * 5000, "\xff"])
def test_what_is_no_json_is_refused(written: str) -> None:
    with pytest.raises(Refused):
        container(policy(), decode(written.encode("latin-1")))


def test_what_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(Refused, match="deep"):
        decode(json.dumps({"a": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}).encode())
