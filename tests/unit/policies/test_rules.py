"""The rules of the policy pack, one line per case."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi_policy import ResourceValidationPolicy, Secret
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policies.rules import containers, network, secrets, subject
from policies.rules.subject import Rule, Subject

by_name = {policy.name: policy for policy in [*secrets.policies, *containers.policies, *network.policies]}
rules: dict[str, Rule] = {
    "no-plain-secrets": secrets.plain_secrets,
    "labels": containers.labels,
    "unprivileged": containers.privileged,
    "docker-socket": containers.docker_socket,
    "capabilities": containers.capabilities,
    "memory-limit": containers.memory,
    "restart-policy": containers.restart,
    "pinned-images": containers.pinned,
    "no-root": containers.root,
    "published-ports": network.published_ports,
    "node-control": network.node_control,
    "bridge-http": network.bridge_http,
    "tls": network.tls,
}
digest = "sha256:" + "0" * 64


gateway = "berth:platform:Gateway"
node = "berth:access:WireGuardNode"
bridge = "berth:access:MullvadProxy"


def urn(stack: str, type: str, name: str, component: str = gateway) -> str:
    return f"urn:pulumi:{stack}::berth::{component}${type}::{name}"


def objections(
    policy: str,
    props: dict[str, Any],
    *,
    type: str = subject.container,
    name: str = "web",
    stack: str = "prod",
    component: str = gateway,
    **settings: Any,
) -> list[str]:
    """What a rule says, with the policy's own defaults unless ``settings`` say otherwise."""
    schema = by_name[policy].config_schema
    config = {key: each["default"] for key, each in (schema.properties if schema else {}).items()} | settings
    seen = unknown_checking_proxy(props)
    return list(rules[policy](Subject(type, name, urn(stack, type, name, component), seen, config)))


@pytest.mark.parametrize(
    ("policy", "props"),
    [
        ("no-plain-secrets", {"envs": ["CONTROL_TOKEN=abc", "LOG_LEVEL=info"]}),
        ("no-plain-secrets", {"envs": ["password=x"]}),
        ("unprivileged", {"privileged": True}),
        ("docker-socket", {"volumes": [{"hostPath": "/var/run/docker.sock", "containerPath": "/d"}]}),
        ("docker-socket", {"volumes": [{"hostPath": "/run/docker.sock/", "containerPath": "/d"}]}),
        ("docker-socket", {"volumes": [{"hostPath": "/", "containerPath": "/host"}]}),
        ("docker-socket", {"mounts": [{"type": "bind", "source": "/run", "target": "/r"}]}),
        ("capabilities", {}),
        ("capabilities", {"capabilities": {"drops": ["NET_RAW"]}}),
        ("capabilities", {"capabilities": {"drops": ["ALL"], "adds": ["CAP_SYS_ADMIN"]}}),
        ("memory-limit", {}),
        ("memory-limit", {"memory": 0}),
        ("restart-policy", {}),
        ("restart-policy", {"restart": "no", "mustRun": True}),
        ("pinned-images", {"image": "mongo:7.0"}),
        ("pinned-images", {"image": "mongo@sha256:abc"}),
        ("published-ports", {"ports": [{"internal": 80, "external": 8080}]}),
        ("published-ports", {"ports": [{"internal": 80, "external": 8080, "ip": "0.0.0.0"}]}),
        ("published-ports", {"ports": [{"internal": 80, "external": 8080, "ip": "192.0.2.1"}]}),
    ],
)
def test_objected_to(policy: str, props: dict[str, Any]) -> None:
    assert len(objections(policy, props)) == 1


@pytest.mark.parametrize(
    ("policy", "props"),
    [
        ("no-plain-secrets", {"envs": ["CONTROL_TOKEN_FILE=/run/berth/token", "KEY_REGISTRY=0x0", "API_KEY="]}),
        ("no-plain-secrets", {"envs": [UNKNOWN_STRING_VALUE, "A=b"]}),
        ("unprivileged", {"privileged": False}),
        ("docker-socket", {"volumes": [{"volumeName": "data", "containerPath": "/data"}]}),
        ("docker-socket", {"mounts": [{"type": "volume", "source": "/run", "target": "/r"}]}),
        ("capabilities", {"capabilities": {"drops": ["all"], "adds": ["net_admin"]}}),
        ("memory-limit", {"memory": 64}),
        ("restart-policy", {"restart": "unless-stopped"}),
        ("restart-policy", {"restart": "no", "mustRun": False}),
        ("pinned-images", {"image": f"mongo:7.0@{digest}"}),
        ("pinned-images", {"image": digest}),
        ("pinned-images", {"image": UNKNOWN_STRING_VALUE}),
        ("published-ports", {"ports": [{"internal": 80, "external": 8080, "ip": "127.0.0.1"}]}),
    ],
)
def test_accepted(policy: str, props: dict[str, Any]) -> None:
    assert objections(policy, props) == []


def test_a_plain_secret_is_named_but_not_told() -> None:
    (message,) = objections("no-plain-secrets", {"envs": ["CONTROL_TOKEN=hunter2"]})
    assert "CONTROL_TOKEN_FILE" in message
    assert "hunter2" not in message


def test_development_is_exempt_from_what_only_production_needs() -> None:
    assert objections("no-plain-secrets", {"envs": ["A_KEY=x"]}, stack="dev") == []
    assert objections("pinned-images", {"image": "mongo:7.0"}, stack="dev") == []
    assert objections("published-ports", {"ports": [{"external": 80}]}, stack="staging") == []


def test_settings_widen_a_rule() -> None:
    socket = {"volumes": [{"hostPath": "/var/run/docker.sock", "containerPath": "/d"}]}
    assert objections("docker-socket", socket, name="proxy", allowed=["proxy"]) == []
    adds = {"capabilities": {"drops": ["ALL"], "adds": ["CAP_CHOWN"]}}
    assert objections("capabilities", adds, allowed=["CHOWN"]) == []
    ports = {"ports": [{"external": 80, "ip": "192.0.2.1"}]}
    assert objections("published-ports", ports, addresses=["192.0.2.1"]) == []


@pytest.mark.parametrize(
    ("component", "ports", "count"),
    [
        (node, [{"external": 18080, "ip": "127.0.0.1"}, {"external": 51820, "ip": "0.0.0.0", "protocol": "udp"}], 0),
        (node, [{"external": 18080, "ip": "0.0.0.0", "protocol": "tcp"}], 1),
        (node, [{"external": 18080}], 1),
        (f"berth:access:Plane${node}", [{"external": 18080, "ip": "192.0.2.1"}], 1),
        (gateway, [{"external": 80}], 0),
    ],
)
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_nodes_control_port_is_for_this_host_alone(
    stack: str, component: str, ports: list[dict[str, Any]], count: int
) -> None:
    assert len(objections("node-control", {"ports": ports}, stack=stack, component=component)) == count


@pytest.mark.parametrize(
    ("component", "ports", "count"),
    [
        (bridge, [{"internal": 51840, "external": 443, "ip": "0.0.0.0"}], 0),
        (bridge, [{"internal": 8080, "external": 18080, "ip": "127.0.0.1"}], 0),
        (bridge, [{"internal": 8080, "external": 18080, "ip": "0.0.0.0"}], 1),
        (bridge, [{"internal": 8080, "external": 18080}], 1),
        (gateway, [{"internal": 8080, "external": 8080, "ip": "0.0.0.0"}], 0),
    ],
)
def test_what_a_bridge_says_of_its_clients_stays_inside(
    component: str, ports: list[dict[str, Any]], count: int
) -> None:
    assert len(objections("bridge-http", {"ports": ports}, component=component)) == count


def test_bridges_are_reachable_from_outside() -> None:
    ports = [{"internal": 51840, "external": 51840, "ip": "0.0.0.0"}]
    assert objections("published-ports", {"ports": ports}, name="bridge-1", component=bridge) == []


@pytest.mark.parametrize(
    ("component", "address", "files", "count"),
    [
        (gateway, "127.0.0.1", ["haproxy.cfg"], 0),
        (gateway, "0.0.0.0", ["haproxy.cfg"], 1),
        (gateway, "", ["haproxy.cfg"], 1),
        (gateway, "0.0.0.0", ["haproxy.cfg", "tls.pem"], 0),
        (node, "0.0.0.0", ["control-token"], 0),
    ],
)
def test_what_is_reachable_from_outside_has_tls(component: str, address: str, files: list[str], count: int) -> None:
    props = {
        "ports": [{"external": 80, "ip": address}, {"external": 8080, "ip": address}],
        "uploads": [{"file": f"/run/berth/{file}", "content": "x"} for file in files],
    }
    assert len(objections("tls", props, component=component)) == count


@pytest.mark.parametrize(
    ("component", "props", "count"),
    [
        (gateway, {"user": "1001:1001"}, 0),
        (gateway, {"user": "0:0"}, 1),
        (gateway, {}, 1),
        (gateway, {"user": "1001", "capabilities": {"adds": ["CAP_NET_ADMIN"]}}, 1),
        (node, {"user": "0:0", "capabilities": {"adds": ["CAP_NET_ADMIN"]}}, 0),
    ],
)
def test_only_nodes_are_root_and_change_the_network(component: str, props: dict[str, Any], count: int) -> None:
    assert len(objections("no-root", props, component=component)) == count


@pytest.mark.parametrize("name", ["gateway", "node-1", "node-22"])
def test_gateway_and_nodes_are_open(name: str) -> None:
    assert objections("published-ports", {"ports": [{"external": 80, "ip": "0.0.0.0"}]}, name=name) == []


@pytest.mark.parametrize("type", [subject.container, subject.volume, subject.network])
def test_labels(type: str) -> None:
    ours = {"berth.stack": "berth/prod", "berth.urn": urn("prod", type, "web")}
    given = [{"label": key, "value": value} for key, value in ours.items()]
    assert objections("labels", {"labels": given}, type=type) == []
    assert objections("labels", {"labels": given[1:]}, type=type) == ["web has no label berth.stack"]
    assert "should be urn:pulumi:" in objections("labels", {"labels": given[:1]}, type=type)[0]
    assert len(objections("labels", {}, type=type)) == 2


def test_labels_of_an_image_are_build_arguments() -> None:
    given = {"BERTH_STACK": "berth/prod", "BERTH_URN": urn("prod", subject.image, "web"), "BASE": "debian"}
    build = {"build": {"args": given}}
    assert objections("labels", build, type=subject.image) == []
    assert len(objections("labels", {"build": {"args": {}}}, type=subject.image)) == 2
    assert objections("pinned-images", build, type=subject.image) == [
        "web uses debian, which is no digest: write it as name@sha256:..."
    ]


def test_pulled_images_are_pinned() -> None:
    assert objections("pinned-images", {"name": f"mongo@{digest}"}, type=subject.remote_image) == []
    assert len(objections("pinned-images", {"name": "mongo:7"}, type=subject.remote_image)) == 1


def test_other_resources_are_left_alone() -> None:
    for policy in rules:
        assert objections(policy, {"envs": ["A_KEY=x"], "privileged": True}, type="berth:platform:Gateway") == []


@pytest.mark.parametrize(
    "name", ["mongo.key", "root-password", "control-token", "account-key", "tls.pem", "a/b/tls.key", "TOKENS"]
)
def test_names_of_secret_files(name: str) -> None:
    assert secrets.names_secret(f"/run/berth/{name}")


@pytest.mark.parametrize("name", ["haproxy.cfg", "mongo_init.py", "keyboard", "tokens.py"])
def test_names_of_other_files(name: str) -> None:
    assert not secrets.names_secret(f"/run/berth/{name}")


def test_contents_of_secret_files_become_secrets() -> None:
    uploads = [{"file": "/a/mongo.key", "content": "x"}, {"file": "/a/haproxy.cfg", "content": "y"}]
    marked = secrets.secret_uploads(uploads)
    assert marked is not None
    assert isinstance(marked[0]["content"], Secret)
    assert marked[1] is uploads[1]
    assert uploads[0]["content"] == "x"


def test_what_is_secret_already_stays_as_it_is() -> None:
    assert secrets.secret_uploads([{"file": "/a/mongo.key", "content": Secret("x")}]) is None
    assert secrets.secret_uploads(Secret([{"file": "/a/mongo.key", "content": "x"}])) is None
    assert secrets.secret_uploads(None) is None


def test_levels() -> None:
    levels = {name: policy.enforcement_level.value for name, policy in by_name.items() if policy.enforcement_level}
    assert levels.pop("restart-policy") == "advisory"
    assert levels.pop("secret-uploads") == "remediate"
    assert set(levels.values()) == {"mandatory"}
    assert set(levels) | {"restart-policy"} == set(rules)
    assert all(isinstance(policy, ResourceValidationPolicy) for policy in by_name.values())
