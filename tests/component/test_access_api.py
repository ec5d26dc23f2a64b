"""The access API: what it is told, and what of it is secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from berth.access.api.settings import ApiSettings
from berth.chain.accounts import address_of
from tests.component.recorder import Recorder, declare, declare_program, plain, run_program, stack_config

container = "docker:index/container:Container"
known = {"KEY_REGISTRY": "0x" + "1" * 40, "NODE_REGISTRY": "0x" + "2" * 40}


def environment(recorder: Recorder) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in plain(recorder.named(container, "access").inputs["envs"]))


def files(recorder: Recorder) -> dict[str, str]:
    return {entry["file"]: entry["content"] for entry in plain(recorder.named(container, "access").inputs["uploads"])}


def settings(recorder: Recorder) -> ApiSettings:
    """What the service itself makes of it."""
    given = {**environment(recorder), **known}
    for name in ("RELAY_PRIVATE_KEY", "SESSION_KEY"):
        given[name] = files(recorder)[given.pop(f"{name}_FILE")]
    given["SESSION_KEY"] += "." * 41  # the mock's secret is shorter than a real one
    return ApiSettings.load("access API", given)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_the_service_takes_what_the_stack_gives_it(stack: str) -> None:
    given = settings(declare_program(stack))
    config = json.loads(stack_config(stack)["berth:access"])
    assert str(given.tunnel_subnet) == config.get("tunnelSubnet", "10.77.0.0/16")
    assert given.chain_id == json.loads(stack_config(stack)["berth:chain"])["chainId"]


def test_it_is_where_nodes_expect_it_and_knows_where_they_are() -> None:
    recorder = declare_program("dev")
    (place,) = recorder.named(container, "access").inputs["networksAdvanced"]
    given = environment(recorder)
    for name in ("node-1", "node-2"):
        node = dict(entry.split("=", 1) for entry in plain(recorder.named(container, name).inputs["envs"]))
        assert place["ipv4Address"] in node["CONTROL_SOURCES"].split(",")
    nodes = json.loads(given["NODES"])
    assert [{key: node[key] for key in ("id", "url", "probeUrl")} for node in nodes] == [
        {"id": name, "url": f"http://{name}:8080", "probeUrl": f"http://localhost/nodes/{name}/ping"}
        for name in ("node-1", "node-2")
    ]
    assert given["GATEWAY_ADDRESS"] == "172.30.10.10"
    assert given["ALLOWED_IPS"].split(",")[-1] == "172.30.10.10/32"


def test_its_keys_are_secret_files_and_the_relays_account_gets_funds() -> None:
    recorder = declare_program("dev")
    contents = files(recorder)
    assert contents["/run/berth/session-key"] == "value-of-access-session"
    account = recorder.named("pulumi-python:dynamic/berth:Account", "relay").inputs
    assert plain(account["address"]) == address_of(contents["/run/berth/relay-key"])


def test_a_relay_of_ones_own_and_a_public_name() -> None:
    key = "0x" + "9" * 64
    changed: dict[str, dict[str, Any]] = {
        "access": {
            "relay": {"key": key, "perMinute": 2, "maxGas": 300000},
            "dns": ["10.0.0.53"],
            "mtu": 1380,
            "tunnelSubnet6": "fd77::/64",
            "allow": ["gateway:8081/tcp", "10.1.0.0/16/any", "10.9.9.9:53/udp", "10.9.9.9:53/tcp"],
            "nodes": [{"name": "node-1", "probeUrl": "https://n1.example.org/ping"}],
        },
        "gateway": {"publicUrl": "https://vpn.example.org"},
    }
    config = {**stack_config("dev"), **{f"berth:{name}": json.dumps(value) for name, value in changed.items()}}
    recorder = declare(run_program, "dev", config)
    given = environment(recorder)
    assert files(recorder)["/run/berth/relay-key"] == key
    expected = {
        "PUBLIC_URL": "https://vpn.example.org",
        "RELAY_PER_MINUTE": "2",
        "RELAY_MAX_GAS": "300000",
        "DNS": "10.0.0.53",
        "MTU": "1380",
        "TUNNEL_SUBNET6": "fd77::/64",
        "ALLOWED_IPS": "10.77.0.1/32,fd77::1/128,172.30.10.10/32,10.1.0.0/16,10.9.9.9/32",
    }
    assert {name: given.get(name) for name in expected} == expected
    assert "ORIGINS" not in given
    assert json.loads(given["NODES"])[0]["probeUrl"] == "https://n1.example.org/ping"
    settings(recorder)
    policy = files_of_gateway(recorder)["/run/berth/haproxy.cfg"]
    assert "connect-src 'self' https://n1.example.org;" in policy


def files_of_gateway(recorder: Recorder) -> dict[str, str]:
    uploads = plain(recorder.named(container, "gateway").inputs["uploads"])
    return {entry["file"]: entry["content"] for entry in uploads}
