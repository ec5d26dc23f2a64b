"""The nodes' gateways: on the leases' bridge alone, with a socket of the node, and what HAProxy is told there."""

from __future__ import annotations

import json
from ipaddress import IPv4Network

import pytest

from components.node_proxy import TunnelFront, render
from components.settings import SettingsError, parse
from tests.component.recorder import Recorder, Registered, declare, declare_program, plain, run_program, stack_config

container = "docker:index/container:Container"


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return declare_program("dev")


def environment(resource: Registered) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in plain(resource.inputs["envs"]))


def mounts(resource: Registered) -> dict[str, tuple[str, bool]]:
    return {
        each["containerPath"]: (each["volumeName"], each.get("readOnly", False))
        for each in plain(resource.inputs["volumes"])
    }


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_each_is_on_the_leases_bridge_alone_and_shares_one_folder_with_its_node(recorder: Recorder, node: str) -> None:
    gateway, behind = recorder.named(container, f"{node}-gateway"), recorder.named(container, node)
    (place,) = plain(gateway.inputs["networksAdvanced"])
    assert place["name"] == "berth-dev-leases"
    assert "berth-dev-leases" not in [one["name"] for one in plain(behind.inputs["networksAdvanced"])]
    rules = environment(recorder.named(container, "leases-rules"))
    assert place["ipv4Address"] in rules["GATEWAYS"].split(",")
    assert mounts(gateway) == {
        "/run/gateway": (f"berth-dev-{node}-gateway", True),
        "/run/doors": ("berth-dev-gateway-doors", False),
    }
    assert environment(gateway)["CLOSE_SOCKET"] == f"/run/doors/{node}.sock"
    assert mounts(behind)["/run/gateway"] == (f"berth-dev-{node}-gateway", False)
    assert environment(behind)["GATEWAY_SOCKET"] == "/run/gateway/node.sock"
    assert not gateway.inputs["capabilities"].get("adds")
    assert gateway.inputs["user"] == "1001:1001"
    assert not gateway.inputs.get("ports")


def test_the_manager_says_where_such_leases_are_reached(recorder: Recorder) -> None:
    assert environment(recorder.named(container, "leases"))["LEASE_VPN_DOMAIN"] == "vpn.internal"


def test_the_manager_finds_the_sockets_of_all_of_them(recorder: Recorder) -> None:
    manager = recorder.named(container, "leases")
    assert mounts(manager)[environment(manager)["NODE_GATEWAYS"]] == ("berth-dev-gateway-doors", True)


def test_without_leases_nodes_offer_nothing() -> None:
    config = {**stack_config("dev"), "berth:leases": json.dumps({"enabled": False})}
    recorder = declare(run_program, "dev", config)
    assert not recorder.of("berth:lease:NodeGateway")
    node = recorder.named(container, "node-1")
    assert "GATEWAY_SOCKET" not in environment(node)
    assert "/run/gateway" not in mounts(node)


def test_a_node_named_as_a_gateway_is_refused() -> None:
    config = stack_config("dev")
    access = json.loads(config["berth:access"])
    access["nodes"][1]["name"] = "node-1-gateway"
    with pytest.raises(SettingsError, match="which another part has"):
        parse({**config, "berth:access": json.dumps(access)})


def front(ipv6: bool = False) -> TunnelFront:
    return TunnelFront("dev", "vpn.example.org", IPv4Network("172.30.12.0/22"), ipv6=ipv6)


def test_the_configuration_is_filled_in_and_listens_where_the_node_says() -> None:
    text = render(front())
    assert "<<" not in text
    assert [line for line in text.splitlines() if line.strip().startswith("bind")] == ['    bind "${LISTENER4}"']
    assert '    bind "${LISTENER6}"' in render(front(ipv6=True))
    assert "unless { var(txn.address) -m ip 172.30.12.0/22 }" in text
    assert "berth-dev-vpn-" in text


def test_dots_of_the_domain_are_no_wildcards() -> None:
    assert r"\.vpn\.example\.org$" in render(front())
