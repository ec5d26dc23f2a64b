"""The TCP bridges before the nodes: what they are told, who knows of them, and what they may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.settings import SettingsError, parse
from tests.component.recorder import Recorder, Registered, declare, plain, run_program, stack_config

container = "docker:index/container:Container"
bridges = {
    "node-1": [{"name": "bridge-1", "port": 51840}, {"name": "bridge-1b", "port": 51841, "bind": "0.0.0.0",
                "endpoint": "vpn.example.org:443", "maxConnections": 50, "maxPerAddress": 5, "memory": 512}],
    "node-2": [{"name": "bridge-2", "port": 51842}],
}  # fmt: skip


def config(**changes: Any) -> dict[str, str]:
    """The stack dev with these bridges; ``changes``: a node's bridges instead, ``node_1=[...]``."""
    given = stack_config("dev")
    access = json.loads(given["berth:access"])
    for node in access["nodes"]:
        node["bridges"] = changes.get(node["name"].replace("-", "_"), bridges[node["name"]])
    return {**given, "berth:access": json.dumps(access)}


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return declare(run_program, "dev", config())


def environment(resource: Registered) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in plain(resource.inputs["envs"]))


def inside(resource: Registered) -> str:
    """The fixed address."""
    (found,) = [place["ipv4Address"] for place in resource.inputs["networksAdvanced"] if place.get("ipv4Address")]
    return str(found)


def test_each_is_a_component_of_its_own(recorder: Recorder) -> None:
    made = recorder.of("berth:access:MullvadProxy")
    assert sorted(resource.name for resource in made) == ["bridge-1", "bridge-1b", "bridge-2"]
    for resource in made:
        assert recorder.named(container, resource.name).request.parent == resource.urn


def test_each_forwards_to_its_own_node_and_asks_how_that_is(recorder: Recorder) -> None:
    for node, listed in bridges.items():
        for bridge in listed:
            given = environment(recorder.named(container, str(bridge["name"])))
            expected = {
                "BRIDGE_END": "tcp2udp",
                "TCP_LISTEN": f"0.0.0.0:{bridge['port']}",
                "UDP_FORWARD": f"{node}.inside:51820",
                "NODE_ID": node,
                "NODE_URL": f"http://{node}.inside:8080",
                "MAX_CONNECTIONS": str(bridge.get("maxConnections", 1000)),
                "MAX_PER_ADDRESS": str(bridge.get("maxPerAddress", 100)),
            }
            assert {name: given.get(name) for name in expected} == expected
            assert "ALLOW_TARGETS" not in given  # its own node alone


def test_it_means_the_node_inside_where_that_answers_it(recorder: Recorder) -> None:
    """By its other name Docker gives its address at the edge, too."""
    for node in bridges:
        inner, edge = recorder.named(container, node).inputs["networksAdvanced"]
        assert f"{node}.inside" in inner["aliases"]
        assert f"{node}.inside" not in edge["aliases"]
        assert inner["name"] == "berth-dev-inside"


def test_the_node_answers_its_own_bridges_and_not_those_of_another(recorder: Recorder) -> None:
    for node, listed in bridges.items():
        sources = environment(recorder.named(container, node))["CONTROL_SOURCES"].split(",")
        for name in (str(bridge["name"]) for each in bridges.values() for bridge in each):
            assert (inside(recorder.named(container, name)) in sources) is any(one["name"] == name for one in listed)


def test_nodes_announce_them_and_the_access_api_watches_them(recorder: Recorder) -> None:
    announced = {node: environment(recorder.named(container, node))["BRIDGES"].split(",") for node in bridges}
    assert announced == {"node-1": ["127.0.0.1:51840", "vpn.example.org:443"], "node-2": ["127.0.0.1:51842"]}
    watched = json.loads(environment(recorder.named(container, "access"))["NODES"])
    assert {node["id"]: [one["endpoint"] for one in node["bridges"]] for node in watched} == announced
    assert watched[0]["bridges"][1] == {"endpoint": "vpn.example.org:443", "url": "http://bridge-1b:8080"}


def test_the_status_page_shows_each(recorder: Recorder) -> None:
    uploads = plain(recorder.named(container, "gateway").inputs["uploads"])
    files = {entry["file"]: entry["content"] for entry in uploads}
    for name in ("bridge-1", "bridge-1b", "bridge-2"):
        assert f"server {name} {name}:8080" in files["/run/berth/haproxy.cfg"]
        assert f"TCP bridge {name}" in files["/run/berth/status.html"]


def test_only_the_tcp_port_is_published_where_it_is_bound(recorder: Recorder) -> None:
    for bridge in (bridge for listed in bridges.values() for bridge in listed):
        resource = recorder.named(container, str(bridge["name"]))
        (port,) = resource.inputs["ports"]
        assert (port["internal"], port["external"], port["ip"], port["protocol"]) == (
            bridge["port"], bridge["port"], bridge.get("bind", "127.0.0.1"), "tcp",
        )  # fmt: skip
        assert resource.inputs["memory"] == bridge.get("memory", 256)


def test_they_are_hardened(recorder: Recorder) -> None:
    for name in ("bridge-1", "bridge-1b", "bridge-2"):
        given = recorder.named(container, name).inputs
        assert given["readOnly"] is True
        assert given["user"] == "1001:1001"
        assert given["capabilities"]["drops"] == ["ALL"]
        assert not given["capabilities"].get("adds")
        assert set(given["tmpfs"]) == {"/run/bridge", "/tmp"}


def test_one_that_goes_leaves_the_others_where_they_are(recorder: Recorder) -> None:
    fewer = declare(run_program, "dev", config(node_1=bridges["node-1"][1:]))
    for name in ("bridge-1b", "bridge-2"):
        assert inside(fewer.named(container, name)) == inside(recorder.named(container, name))
    none = declare(run_program, "dev", config(node_1=[], node_2=[]))
    assert not none.of("berth:access:MullvadProxy")
    assert "BRIDGES" not in environment(none.named(container, "node-1"))


def test_addresses_are_apart_and_not_among_those_that_docker_hands_out() -> None:
    from ipaddress import IPv4Address, IPv4Network

    from components.network import _places

    for subnet, room in ((IPv4Network("172.30.10.0/26"), 16), (IPv4Network("172.30.10.0/24"), 64)):
        found = _places([f"bridge-{number}" for number in range(room)], subnet)
        lower = next(subnet.subnets(prefixlen_diff=1))
        assert len(set(found.values())) == room
        assert all(IPv4Address(address) in lower for address in found.values())
        assert {str(subnet[host]) for host in (1, 10, 11)}.isdisjoint(found.values())


@pytest.mark.parametrize(
    ("node_1", "says"),
    [
        ([{"name": "node-2"}], r'access.nodes\[0\].bridges\[0\].name is "node-2", which another part has'),
        ([{"name": "web"}], 'bridges.0..name is "web"'),
        ([{"name": "bridge-2", "port": 1}], "bridges.*name has bridge-2 more than once"),
        ([{"name": "b1", "port": 80}], r"access.nodes\[0\].bridges\[0\].port is 80, and so is gateway.httpPort"),
        ([{"name": "b1", "endpoint": "127.0.0.1:51842"}], "bridges.*endpoint has 127.0.0.1:51842 more than once"),
        ([{"name": "b1", "endpoint": "a b:1"}], "host:port"),
        ([{"name": "b1", "maxConnections": 5}], "maxPerAddress is 100, more than maxConnections 5"),
        ([{"name": f"b{i}", "port": 100 + i} for i in range(9)], "a list of up to 8 bridges"),
        ([{"nam": "b1"}], r"bridges\[0\].nam"),
    ],
)
def test_wrong_ones_are_named(node_1: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse(config(node_1=node_1))


def test_there_may_be_no_more_than_have_an_address() -> None:
    nodes = [
        {"name": f"n{i}", "listenPort": 1000 + i, "controlPort": 2000 + i,
         "bridges": [{"name": f"b{i}-{j}", "port": 3000 + 10 * i + j} for j in range(8)]}
        for i in range(3)
    ]  # fmt: skip
    small = {"berth:network": '{"insideSubnet": "172.30.10.0/26"}', "berth:access": json.dumps({"nodes": nodes})}
    with pytest.raises(SettingsError, match=r"24 bridges, and network.insideSubnet 172.30.10.0/26 has room for 16"):
        parse(small)
