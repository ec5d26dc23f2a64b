"""The lease plane: what its services are told, what their guards let through, and what the gateway says of leases."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Network
from typing import Any

import pytest

from berth.leases.guard.policy import Role
from berth.leases.guard.settings import GuardSettings
from berth.leases.settings import ManagerSettings
from components.haproxy import Front, render
from components.lease_front import LeaseFront
from components.lease_settings import LeaseSettings, RedisSettings
from components.parts import access_part, leases_part, web_part
from components.redis import configuration
from components.settings import SettingsError, parse
from components.user_pool import guard_policy
from tests.component.recorder import Recorder, declare, declare_program, plain, run_program, stack_config

container = "docker:index/container:Container"
known = {"KEY_REGISTRY": "0x" + "2" * 40}


def environment(recorder: Recorder, name: str) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in plain(recorder.named(container, name).inputs["envs"]))


def files(recorder: Recorder, name: str) -> dict[str, str]:
    uploads = plain(recorder.named(container, name).inputs["uploads"])
    return {entry["file"].rpartition("/")[2]: entry["content"] for entry in uploads}


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_the_manager_takes_what_the_stack_gives_it(stack: str, tmp_path: Any) -> None:
    recorder = declare_program(stack)
    given = {**environment(recorder, "leases"), **known}
    written = files(recorder, "leases")
    given["LEASES_FILE"] = str(tmp_path / "leases.json")
    (tmp_path / "leases.json").write_text(written["leases.json"])
    for name in [name for name in given if name.endswith("_FILE") and name != "LEASES_FILE"]:
        # The mock's secrets are shorter than real ones.
        given[name.removesuffix("_FILE")] = written[given.pop(name).rpartition("/")[2]] + "." * 32
    # Known after the job that makes the set, which a preview does not run.
    given.setdefault("MONGODB_URI", "mongodb://mongo-repl-1/berth")
    settings = ManagerSettings.load("manager", given)
    wanted = json.loads(stack_config(stack)["berth:leases"])
    assert settings.lease_access == wanted["access"]
    assert settings.lease_domain == wanted.get("domain", "test.localhost")
    assert settings.network == f"berth-{stack}-leases"
    assert set(settings.catalogue.scenarios) == {"basic", "alpine", "advanced"}
    assert settings.catalogue.images == {"sha256:lease-echo", "sha256:lease-shell"}


def test_a_guard_lets_through_what_scenarios_need_and_no_more() -> None:
    recorder = declare_program("dev")
    for name, role in (("leases-guard", "manager"), ("reaper-guard", "reaper")):
        policy = GuardSettings.load("guard", environment(recorder, name)).guard_policy
        assert (policy.role, policy.stack, policy.network) == (role, "berth/dev", "berth-dev-leases")
        assert policy.images == {"sha256:lease-echo": False, "sha256:lease-shell": False}
        assert (policy.memory, policy.cpus, policy.pids) == (64, 0.5, 64)


def test_only_guards_have_dockers_socket_and_each_has_one_client() -> None:
    recorder = declare_program("dev")
    mounted = {
        r.name for r in recorder.of(container) if "docker.sock" in json.dumps(plain(r.inputs.get("mounts") or []))
    }
    assert mounted == {"leases-guard", "reaper-guard"}
    places: dict[str, set[str]] = {}
    for resource in recorder.of(container):
        for volume in plain(resource.inputs.get("volumes") or []):
            assert not volume.get("hostPath"), resource.name
            if volume["containerPath"] == "/run/docker-guard":
                places.setdefault(volume["volumeName"], set()).add(resource.name)
    # Registration has no order of its own.
    assert sorted(map(sorted, places.values())) == [["leases", "leases-guard"], ["reaper", "reaper-guard"]]


def test_the_reaper_only_reads_the_journal() -> None:
    recorder = declare_program("dev")
    volumes = {v["containerPath"]: v for v in plain(recorder.named(container, "reaper").inputs["volumes"])}
    assert volumes["/var/lib/berth"]["readOnly"] is True
    assert volumes["/var/lib/berth"]["volumeName"] == "berth-dev-lease-journal"


def test_the_bridge_keeps_leases_apart_and_the_rules_come_first() -> None:
    recorder = declare_program("dev")
    network = recorder.named("docker:index/network:Network", "leases")
    assert network.inputs["options"]["com.docker.network.bridge.enable_icc"] == "false"
    rules = recorder.named(container, "leases-rules")
    assert rules.urn in list(network.request.dependencies)
    given = environment(recorder, "leases-rules")
    assert given["BRIDGE"] == network.inputs["options"]["com.docker.network.bridge.name"]
    assert len(given["BRIDGE"]) <= 15
    places = {p["name"]: p["ipv4Address"] for p in recorder.named(container, "gateway").inputs["networksAdvanced"]}
    assert given["GATEWAYS"].split(",")[0] == places["berth-dev-leases"] == "172.30.12.10"
    assert (given["SHARED"], given["POOL"]) == ("172.30.12.0/22", "10.99.0.0/18")


def test_redis_has_the_settings_that_services_expect_and_its_password_in_no_argument() -> None:
    lines = configuration(RedisSettings()).splitlines()
    for line in ("save 20 1", "notify-keyspace-events KA", "loglevel warning", "dir /data"):
        assert line in lines
    inputs = declare_program("dev").named(container, "redis").inputs
    assert "value-of-redis-password" not in json.dumps(plain({k: v for k, v in inputs.items() if k != "uploads"}))
    assert [v["containerPath"] for v in inputs["volumes"]] == ["/data"]


def test_without_leases_there_is_nothing_of_them() -> None:
    config = {**stack_config("dev"), "berth:leases": json.dumps({"enabled": False})}
    recorder = declare(run_program, "dev", config)
    names = {resource.name for resource in recorder.of(container)}
    assert not names & {"leases", "reaper", "redis", "leases-guard", "reaper-guard", "leases-rules"}
    config_text = files(recorder, "gateway")["haproxy.cfg"]
    assert "lease" not in config_text


wrong: list[tuple[dict[str, Any], str]] = [
    ({"access": "all"}, "open, token or pass"),
    ({"domain": "localhost"}, "a domain such as test.localhost"),
    ({"domain": "Test.localhost"}, "a domain such as test.localhost"),
    ({"subnet": "172.30.12.0/25"}, "it must be /24 or larger"),
    ({"subnet": "172.30.10.0/23"}, "network.insideSubnet 172.30.10.0/24 overlaps leases.subnet"),
    ({"subnets": "172.30.0.0/16"}, "overlaps"),
    ({"maxContainers": 600}, "has room for 504"),
    ({"minMinutes": 10, "maxMinutes": 5}, "minMinutes is 10"),
    ({"scenarios": {"x": {"containers": {"main": {"image": "alpine:3"}}}}}, "a reference by digest such as"),
    ({"scenarios": {"x": {"containers": {"other": {"image": "lease-echo"}}}}}, "has no 'main'"),
    ({"scenarios": {"x": {"containers": {"main": {"image": "lease-echo", "user": "0"}}}}}, "leases never run as root"),
    ({"defaultScenario": "y"}, "is not one of"),
]


@pytest.mark.parametrize(("changed", "words"), wrong)
def test_wrong_settings_are_named(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        parse({"berth:leases": json.dumps(changed)})


@pytest.mark.parametrize("hours", [1, 24, 49, 8760])
def test_the_guard_lets_through_the_longest_that_a_lease_may_be_there(hours: int) -> None:
    leases = LeaseSettings(lifetime_hours=hours)
    policy = guard_policy(leases, "berth/dev", "leases", Role.manager, {name: name for name in leases.images})
    longest = max(hours, leases.max_minutes / 60) * 3600
    # As the pool labels its members, which wait for up to 12 hours, and may be paused for as long as they live.
    assert policy.life > 12 * 3600 + 2 * longest


def lease_lines(**changes: Any) -> list[str]:
    front = Front(
        "https://vpn.example.org/",
        tls=True,
        leases=LeaseFront("dev", "test.example.org", IPv4Network("172.30.12.0/22"), **changes),
    )
    text = render([access_part(8080), leases_part(8080), web_part(8080)], "dev", front)["haproxy.cfg"]
    return [line.strip() for line in text.split("\nbackend lease\n")[1].split("\nbackend ")[0].splitlines()]


def test_who_may_see_a_lease_is_decided_before_its_name_is_looked_up() -> None:
    lines = lease_lines()
    closed = next(i for i, line in enumerate(lines) if "status 401" in line)
    looked_up = next(i for i, line in enumerate(lines) if "do-resolve" in line)
    assert closed < looked_up < lines.index("http-request set-dst var(txn.address)")
    for header in ("Authorization", "Proxy-Authorization", "Cookie", "X-Berth- -m beg"):
        assert looked_up < lines.index(f"http-request del-header {header}")


def test_open_leases_ask_for_no_session() -> None:
    assert not [line for line in lease_lines(open=True) if "status 401" in line]
    lines = lease_lines(scheme="https")
    assert "__Host-berth_lease=%[var(txn.given)]; Path=/; HttpOnly; SameSite=Lax; Secure" in next(
        line for line in lines if "Set-Cookie" in line and "303" in line
    )
    assert any("req.cook(__Host-berth_lease)" in line for line in lines)
