"""The whole program, per stack file: what it registers, and that every rule for Docker objects holds."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from berth.chain.accounts import address_of
from tests.component.certificates import certificate
from tests.component.recorder import (
    Recorder,
    Registered,
    declare,
    declare_program,
    plain,
    root,
    run_program,
    stack_config,
)

container = "docker:index/container:Container"
image = "docker:index/image:Image"
remote_image = "docker:index/remoteImage:RemoteImage"
network = "docker:index/network:Network"
volume = "docker:index/volume:Volume"

# A renamed token means other URNs, and with them replaced infrastructure: change nothing here lightly.
tokens = {
    "berth:access:AccessApi",
    "berth:access:AccessControl",
    "berth:access:Chain",
    "berth:access:Contracts",
    "berth:access:MullvadProxy",
    "berth:access:WireGuardNode",
    "berth:lease:DockerGuard",
    "berth:lease:LeaseNetwork",
    "berth:lease:NodeGateway",
    "berth:lease:UserPool",
    "berth:platform:Gateway",
    "berth:platform:Images",
    "berth:platform:MongoDB",
    "berth:platform:Network",
    "berth:platform:Redis",
    "berth:platform:Web",
}
dynamic = {
    "pulumi-python:dynamic/berth:Account",
    "pulumi-python:dynamic/berth:AccessList",
    "pulumi-python:dynamic/berth:Contract",
    "pulumi-python:dynamic/berth:GeneratedSecret",
    "pulumi-python:dynamic/berth:LeaseContainers",
    "pulumi-python:dynamic/berth:NodeAllowance",
    "pulumi-python:dynamic/berth:NodeIdentity",
    "pulumi-python:dynamic/berth:NodePeers",
}

Program = tuple[str, Recorder]


def labels(resource: Registered) -> dict[str, str]:
    given = resource.inputs["labels"]
    return {entry["label"]: entry["value"] for entry in given}


def test_type_tokens_are_pinned(program: Program) -> None:
    ours = {r.type for r in program[1].registered if not r.type.startswith("docker:")}
    assert ours == tokens | dynamic


def test_every_docker_object_is_named_and_labelled_for_its_stack(program: Program) -> None:
    stack, recorder = program
    for kind in (container, network, volume):
        assert recorder.of(kind)
        for resource in recorder.of(kind):
            assert resource.inputs["name"] == f"berth-{stack}-{resource.name}"
            assert labels(resource) == {"berth.stack": f"berth/{stack}", "berth.urn": resource.urn}
    for resource in recorder.of(image):
        assert resource.inputs["imageName"] == f"berth/{resource.name}:{stack}"
        args = resource.inputs["build"]["args"]
        assert (args["BERTH_STACK"], args["BERTH_URN"]) == (f"berth/{stack}", resource.urn)


def test_every_image_labels_itself_with_what_the_build_gives_it(program: Program) -> None:
    for resource in program[1].of(image):
        dockerfile = (root / resource.inputs["build"]["dockerfile"]).read_text()
        if resource.name == "service":
            continue  # others build on it, and would inherit its label
        assert dockerfile.rstrip().endswith("LABEL berth.stack=${BERTH_STACK} berth.urn=${BERTH_URN}"), resource.name


def test_every_child_has_its_component_as_parent(program: Program) -> None:
    for resource in program[1].registered:
        if not resource.type.startswith("berth:"):
            assert "::berth:" in resource.request.parent, resource.urn


def test_containers_are_hardened(program: Program) -> None:
    for resource in program[1].of(container):
        given = resource.inputs
        assert given["capabilities"]["drops"] == ["ALL"], resource.name
        assert given["securityOpts"] == ["no-new-privileges:true"], resource.name
        assert not given.get("privileged"), resource.name
        assert given["memory"] >= 64, resource.name
        assert 0 < float(given["cpus"]) <= 4, resource.name
        assert given["logOpts"]["max-size"], resource.name
        assert given["destroyGraceSeconds"] >= 10, resource.name
        job = given.get("attach", False)
        assert given["restart"] == ("no" if job else "unless-stopped"), resource.name
        # Files and a read-only root exclude each other in Docker; then the root is not the service's to write.
        assert given["readOnly"] or given["uploads"], resource.name
        # Guards are root without a capability, so that Docker's socket lets them in.
        if resource.name in ("leases-guard", "reaper-guard"):
            assert not given["capabilities"].get("adds"), resource.name
            assert given["networkMode"] == "none", resource.name
        elif resource.name == "leases-rules":
            assert given["capabilities"]["adds"] == ["CAP_NET_ADMIN"]
        elif not resource.name.startswith("node-"):
            assert given["user"] not in ("", "0", "0:0", "root"), resource.name
            assert not given["capabilities"].get("adds"), resource.name


def test_containers_are_replaced_in_place_because_their_names_are_fixed(program: Program) -> None:
    for resource in program[1].of(container):
        assert resource.request.deleteBeforeReplace, resource.name


def test_volumes_outlive_the_stack(program: Program) -> None:
    for resource in program[1].of(volume):
        assert resource.request.retainOnDelete, resource.name


def test_nothing_is_published_beyond_this_host_but_wireguard_its_bridges_and_what_the_settings_say(
    program: Program,
) -> None:
    for resource in program[1].of(container):
        for port in resource.inputs.get("ports") or []:
            carries = port.get("protocol") == "udp" or "berth:access:MullvadProxy" in resource.request.parent
            assert port["ip"] == "127.0.0.1" or carries, (resource.name, port)


def test_generated_secrets_are_secret_wherever_they_go(program: Program) -> None:
    recorder = program[1]
    made = recorder.of("pulumi-python:dynamic/berth:GeneratedSecret")
    assert {resource.name for resource in made} >= {"mongo-key", "mongo-root", "mongo-app"}
    for resource in made:
        assert list(resource.request.additionalSecretOutputs) == ["value"]
    for resource in recorder.registered:
        for path, value in _leaves(resource.inputs):
            assert "value-of-" not in str(value), f"{resource.name}: {path} is plain"


def test_secrets_are_files_and_not_environment(program: Program) -> None:
    for resource in program[1].of(container):
        for entry in plain(resource.inputs.get("envs") or []):
            assert "value-of-" not in entry
    files = uploads(program[1].named(container, "mongo-init"))
    assert files["/run/berth/root-password"] == "value-of-mongo-root"
    assert files["/run/berth/mongo.key"] == "value-of-mongo-key"


def test_third_party_images_are_official_ones_by_digest_outside_dev(program: Program) -> None:
    stack, recorder = program
    pulled = {resource.name: resource.inputs["name"] for resource in recorder.of(remote_image)}
    if stack == "dev":
        assert pulled == {}
        return
    assert set(pulled) == {"mongodb", "gateway"}
    assert all("@sha256:" in name for name in pulled.values())
    bases = {resource.inputs["build"]["args"]["BASE"] for resource in recorder.of(image)}
    assert all("@sha256:" in base for base in bases)


def test_an_external_chain_has_no_container(program: Program) -> None:
    stack, recorder = program
    names = {resource.name for resource in recorder.of(container)}
    assert ("chain" in names) == (stack == "dev")


def test_an_image_is_built_once_however_many_use_it(program: Program) -> None:
    urns = [resource.urn for resource in program[1].registered]
    assert len(urns) == len(set(urns))


def test_mongodb_is_checked_as_the_settings_promise() -> None:
    recorder = declare_program("dev")
    check = recorder.named(container, "mongo-repl-1").inputs["healthcheck"]
    assert {key: value for key, value in check.items() if key != "tests"} == {
        "interval": "10s",
        "timeout": "10s",
        "retries": 5,
        "startPeriod": "30s",
    }


def test_official_mongodb_is_run_as_its_own_user_and_checked_with_its_own_shell() -> None:
    recorder = declare_program("prod")
    for number in (1, 2, 3):
        member = recorder.named(container, f"mongo-repl-{number}").inputs
        assert member["user"] == "999:999"
        assert member["healthcheck"]["tests"][1] == "mongosh"
    job = recorder.named(container, "mongo-init").inputs
    assert job["networkMode"] == "container:mongo-repl-1-id"
    assert "MEMBERS=mongo-repl-1:27017,mongo-repl-2:27017,mongo-repl-3:27017" in job["envs"]


def test_wrong_setting_registers_nothing() -> None:
    config = {**stack_config("dev"), "berth:gateway": json.dumps({"httpPort": "eighty"})}
    recorder = Recorder()
    with pytest.raises(pulumi.RunError, match=r'berth:gateway\.httpPort is "eighty": it must be a port'):
        declare(run_program, "dev", config, recorder)
    assert recorder.registered == []


def test_the_url_of_a_chain_whose_settings_are_secret_is_secret_everywhere() -> None:
    chain = {"mode": "external", "chainId": 8453, "rpcUrl": "https://rpc.example.org/key-in-url"}
    config = {**stack_config("prod"), "berth:chain": json.dumps(chain)}
    recorder = declare(run_program, "prod", config, secret_keys=["berth:chain"])
    for resource in recorder.registered:
        for path, value in _leaves(resource.inputs):
            assert "key-in-url" not in str(value), f"{resource.name}: {path} is plain"
    node = recorder.named(container, "node-1").inputs
    assert any("key-in-url" in entry for entry in plain(node["envs"]))


def environment(resource: Registered) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in plain(resource.inputs["envs"]))


def uploads(resource: Registered) -> dict[str, str]:
    return {entry["file"]: entry["content"] for entry in plain(resource.inputs["uploads"])}


def test_each_node_knows_itself_and_what_it_follows() -> None:
    recorder = declare_program("dev")
    for name, port, region in (("node-1", 51820, "here"), ("node-2", 51821, "there")):
        given = environment(recorder.named(container, name))
        expected = {
            "NODE_ID": name,
            "NETWORK": "local",
            "CHAIN_ID": "31337",
            "ENDPOINT": f"127.0.0.1:{port}",
            "REGION": region,
            "AUTO_SYNC": "true",
            "SYNC_INTERVAL": "30000",
            "MAX_STALE": "900",
            "OUTAGE_POLICY": "fail-closed",
            "BREAKER_SHARE": "50",
            "BREAKER_AT_LEAST": "10",
            "BREAKER_WAIT": "900",
            "QUORUM": "1",
            "FINALITY": "latest",
            "MTU": "1420",
            "CONTRACT_PRIVATE_KEY_FILE": "/run/berth/account-key",
        }
        # The gateway, the access API, and its bridges.
        assert given["CONTROL_SOURCES"].startswith("172.30.10.10,172.30.10.11,")
        assert {key: given.get(key) for key in expected} == expected
        assert not given.keys() & {"REMOVAL_FINALITY", "WS_URLS"}


def test_nodes_publish_their_control_on_loopback_only_and_no_port_twice(program: Program) -> None:
    seen: set[tuple[int, str]] = set()
    nodes = [resource for resource in program[1].of(container) if resource.name in ("node-1", "node-2")]
    assert nodes
    for node in nodes:
        for port in node.inputs["ports"]:
            where = (int(port["external"]), port.get("protocol", "tcp"))
            assert where not in seen
            seen.add(where)
            if port["internal"] == 8080:
                assert port["ip"] == "127.0.0.1"


def test_a_nodes_account_key_is_a_secret_file_and_its_address_is_allowed() -> None:
    recorder = declare_program("dev")
    for name in ("node-1", "node-2"):
        files = uploads(recorder.named(container, name))
        allowance = recorder.named("pulumi-python:dynamic/berth:NodeAllowance", f"{name}-allowance")
        account = recorder.named("pulumi-python:dynamic/berth:Account", f"{name}-account").inputs["address"]
        assert plain(allowance.inputs["account"]) == account == address_of(files["/run/berth/account-key"])
        assert (allowance.inputs["node"], allowance.inputs["chainId"]) == (name, 31337)
    modes = {entry["permissions"] for entry in plain(recorder.named(container, "node-1").inputs["uploads"])}
    assert modes == {"0400"}
    key = uploads(recorder.named(container, "node-1"))["/run/berth/account-key"]
    for resource in recorder.registered:
        for path, value in _leaves(resource.inputs):
            assert key[2:] not in str(value), f"{resource.name}: {path} is plain"


def test_what_the_settings_say_of_chain_and_tunnel_reaches_the_nodes() -> None:
    key = "0x" + "7" * 64
    chain = {"mode": "external", "chainId": 8453, "rpcUrls": ["https://a", "https://b"], "wsUrls": ["wss://a"]}
    chain |= {"quorum": 2, "finality": "finalized", "removalFinality": "latest"}
    node = {"name": "node-1", "accountKey": key, "endpoint": "vpn.example.org:51820", "memory": 2048}
    access = {"owner": "0x" + "1" * 40, "mode": "on-up", "tunnelSubnet6": "fd77::/64", "mtu": 1380, "nodes": [node]}
    config = {**stack_config("prod"), "berth:chain": json.dumps(chain), "berth:access": json.dumps(access)}
    node_1 = declare(run_program, "prod", config).named(container, "node-1")
    given = environment(node_1)
    expected = {
        "NETWORK": "base",
        "RPC_URLS": "https://a,https://b",
        "WS_URLS": "wss://a",
        "QUORUM": "2",
        "FINALITY": "finalized",
        "REMOVAL_FINALITY": "latest",
        "AUTO_SYNC": "false",
        "TUNNEL_SUBNET6": "fd77::/64",
        "MTU": "1380",
        "ENDPOINT": "vpn.example.org:51820",
    }
    assert {name: given.get(name) for name in expected} == expected
    assert node_1.inputs["memory"] == 2048
    assert node_1.inputs["sysctls"]["net.ipv6.conf.all.disable_ipv6"] == "0"
    for path, value in _leaves(node_1.inputs):
        assert key not in str(value), path


def test_a_gateway_with_tls_publishes_it_and_keeps_the_key_secret() -> None:
    pem, key = certificate("vpn.example.org")
    gateway = {"bind": "0.0.0.0", "publicUrl": "https://vpn.example.org", "tls": {"certificate": pem, "key": key}}
    config = {**stack_config("dev"), "berth:gateway": json.dumps(gateway)}
    recorder = declare(run_program, "dev", config)
    resource = recorder.named(container, "gateway")
    published = {int(port["internal"]): int(port["external"]) for port in resource.inputs["ports"]}
    assert published == {8000: 80, 8080: 8080, 8443: 443}
    assert key.strip() in uploads(resource)["/run/berth/tls.pem"]
    line = key.splitlines()[1]
    for path, value in _leaves(resource.inputs):
        assert line not in str(value), path
    assert environment(recorder.named(container, "access"))["PUBLIC_URL"] == "https://vpn.example.org"


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every scalar of a value that is not inside a secret."""
    if rpc.is_rpc_secret(value):
        return []
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in _leaves(item, f"{path}[{index}]")]
    return [(path, value)]
