"""A node in its container: how it starts and stops, what it keeps, what it repairs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import docker
import httpx
import pytest

from berth.access.receipt import Receipt
from berth.chain.dev import mine
from providers.node_peers import NodePeersProvider
from tests.integration.vpn.conftest import Chain, Networks, Node

# The first test of a session builds the images as well.
pytestmark = [pytest.mark.docker, pytest.mark.chain, pytest.mark.timeout(600)]


def test_it_is_healthy_soon_with_no_more_rights_than_it_needs(make_node: Callable[..., Node]) -> None:
    node = make_node(healthy=False)
    taken = node.wait_healthy()
    # The better of two: other tests may be starting containers on the same processors.
    assert taken < 5 or make_node(healthy=False).wait_healthy() < 5
    status = dict(line.split(":\t", 1) for line in node.run("cat", "/proc/1/status").splitlines() if ":\t" in line)
    net_admin = 1 << 12
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == net_admin
    assert status["NoNewPrivs"] == "1"
    refused, _ = node.container.exec_run(["touch", "/app/x"])
    assert refused != 0
    assert node.run("stat", "-c", "%a", "/var/lib/berth/private.key", "/var/lib/berth/public.key").split() == [
        "600",
        "644",
    ]


def test_its_secrets_are_in_no_log_variable_or_argument(make_node: Callable[..., Node], chain: Chain) -> None:
    node = make_node(LOG_LEVEL="debug")
    chain.join()
    node.apply(chain.list())
    node.call("GET", "/control/state", token="wrong" * 10)
    private = node.run("cat", "/var/lib/berth/private.key").strip()
    assert node.state()["publicKey"] == node.run("cat", "/var/lib/berth/public.key").strip()
    node.container.reload()
    logs = node.container.logs().decode()
    arguments = node.run("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ")
    for place in (logs, arguments, json.dumps(node.container.attrs), node.call("GET", "/metrics").text):
        assert private not in place
        assert node.token not in place
    for line in logs.splitlines():
        assert json.loads(line)["service"] == "node/node-1"


def test_a_restart_brings_the_peers_back_and_the_key_stays(make_node: Callable[..., Node], chain: Chain) -> None:
    node = make_node()
    for _ in range(3):
        chain.join()
    access = chain.list()
    before = node.apply(access)
    began = time.monotonic()
    node.container.stop(timeout=10)
    assert time.monotonic() - began < 5
    node.container.reload()
    assert node.container.attrs["State"]["ExitCode"] == 0
    node.started = time.monotonic()
    node.container.start()
    node.wait_healthy()
    assert node.peers() == access.peers
    after = node.state()
    assert (after["publicKey"], after["applied"], after["actual"]) == (
        before["publicKey"],
        before["applied"],
        before["actual"],
    )


def test_a_killed_node_comes_back_with_its_peers(make_node: Callable[..., Node], chain: Chain) -> None:
    node = make_node()
    chain.join()
    access = chain.list()
    node.apply(access)
    node.container.kill("SIGKILL")
    node.container.wait()
    node.started = time.monotonic()
    node.container.start()
    node.wait_healthy()
    assert node.peers() == access.peers


def test_what_is_changed_by_hand_is_named_and_repaired(make_node: Callable[..., Node], chain: Chain) -> None:
    node = make_node()
    kept, taken, bent = (chain.join() for _ in range(3))
    access = chain.list()
    node.apply(access)
    foreign = "A" * 42 + "E="
    node.run("wg", "set", "wg0", "peer", taken.key, "remove")
    node.run("wg", "set", "wg0", "peer", foreign, "allowed-ips", "10.77.9.9/32")
    node.run("wg", "set", "wg0", "peer", bent.key, "allowed-ips", "10.77.0.4/32,192.168.0.0/16")
    state = node.state()
    assert state["drift"] == {
        "missing": {taken.key: access.peers[taken.key], bent.key: access.peers[bent.key]},
        "extra": {foreign: "10.77.9.9", bent.key: "10.77.0.4/32,192.168.0.0/16"},
    }
    assert state["actual"]["digest"] != access.digest
    assert state["applied"]["digest"] == access.digest
    node.apply(access)
    assert node.peers() == access.peers
    assert kept.key in node.peers()


def test_interface_and_rules_taken_away_are_put_back(make_node: Callable[..., Node], chain: Chain) -> None:
    """By the node itself, which may be done before anybody looks (see test_heal), and at the latest by an update."""
    node = make_node()
    chain.join()
    access = chain.list()
    node.apply(access)
    node.run("nft", "delete", "table", "inet", "berth")
    node.run("ip", "link", "delete", "wg0")
    node.apply(access)
    assert node.call("GET", "/health").status_code == 200
    assert node.peers() == access.peers
    assert "chain forward" in node.run("nft", "list", "table", "inet", "berth")


def test_it_takes_no_list_but_the_chains(make_node: Callable[..., Node], chain: Chain) -> None:
    node = make_node()
    chain.join()
    old = chain.list()
    node.apply(old)
    chain.join()
    new = chain.list()
    wrong = {"digest": old.digest, "block": {"number": new.block.number, "hash": new.block.hash}}
    refused = node.call("PUT", "/control/list", wrong)
    assert refused.status_code == 409
    assert new.digest in refused.json()["detail"]
    assert node.peers() == old.peers
    assert node.call("PUT", "/control/list", wrong, token="x" * 64).status_code == 403
    assert httpx.get(node.url + "/control/state").status_code == 401
    node.apply(new)
    answer = node.ask(old)
    assert answer.status_code == 200
    assert answer.json()["newer"] is True
    assert node.peers() == new.peers


def test_blocks_without_changes_change_nothing(make_node: Callable[..., Node], chain: Chain) -> None:
    node = make_node()
    chain.join()
    first = chain.list()
    receipt = node.apply(first)["applied"]["receipt"]
    mine(chain.endpoint, 5)
    again = node.apply(first)
    assert again["applied"]["receipt"] == receipt
    moved = node.apply(chain.list())
    assert moved["applied"]["block"]["number"] == first.block.number + 5
    assert 'berth_node_peer_changes_total{kind="added"} 1.0' in node.call("GET", "/metrics").text


def test_while_the_chain_is_away_peers_stay_and_drift_is_repaired(
    make_node: Callable[..., Node], chain: Chain, networks: Networks
) -> None:
    node = make_node()
    member = chain.join()
    access = chain.list()
    node.apply(access)
    chain.join()
    newer = chain.list()
    node.run("ip", "route", "add", "blackhole", f"{networks.inside_gateway}/32")
    node.run("wg", "set", "wg0", "peer", member.key, "remove")
    refused = node.ask(newer)
    assert refused.status_code == 503
    assert "were not touched" in refused.json()["detail"]
    assert node.call("GET", "/health").status_code == 200
    node.apply(access)
    assert node.peers() == access.peers


def test_the_resource_reaches_a_list_shows_drift_and_repairs_it(make_node: Callable[..., Node], chain: Chain) -> None:
    node, provider = make_node(), NodePeersProvider()
    member = chain.join()
    access = chain.list()
    block = {"number": float(access.block.number), "hash": access.block.hash}
    declared = {"digest": access.digest, "block": block, "token": node.token}
    declared |= {"node": "node-1", "container": node.container.id, "controlUrl": node.url}
    outs = provider.create(declared).outs
    assert outs is not None
    assert node.peers() == access.peers
    assert provider.read("peers-node-1", outs).inputs == declared

    node.run("wg", "set", "wg0", "peer", member.key, "remove")
    found = provider.read("peers-node-1", outs)
    assert found.inputs is not None
    assert found.outs is not None
    assert found.inputs["digest"] != access.digest
    assert found.outs["drift"] == {"missing": access.peers, "extra": {}}
    provider.update("peers-node-1", found.outs, declared)
    assert node.peers() == access.peers


def test_two_nodes_agree_without_talking(make_node: Callable[..., Node], chain: Chain) -> None:
    one, two = make_node(), make_node(NODE_ID="node-2")
    for _ in range(4):
        chain.join()
    access = chain.list()
    receipts = [Receipt.from_dict(node.apply(access)["applied"]["receipt"]) for node in (one, two)]
    assert receipts[0] == receipts[1] == Receipt.of(access)
    assert one.peers() == two.peers() == access.peers
    assert one.state()["publicKey"] != two.state()["publicKey"]


def test_wrong_settings_end_it_with_one_message(make_node: Callable[..., Node]) -> None:
    node = make_node(healthy=False, CHAIN_ID="none", ALLOW="10.77.0.0/24", MTU="9")
    assert node.container.wait(timeout=20)["StatusCode"] == 2
    said = node.container.logs().decode()
    assert said.startswith("WireGuard node: 2 problems in the environment:\n"), said
    assert "CHAIN_ID is 'none'" in said
    assert "MTU is '9'" in said


def test_another_chain_is_refused(make_node: Callable[..., Node], chain: Chain) -> None:
    node = make_node(CHAIN_ID="1")
    chain.join()
    refused = node.ask(chain.list())
    assert refused.status_code == 503
    assert "serves chain 31337" in refused.json()["detail"]
    assert node.peers() == {}


def test_it_runs_with_a_publicly_known_image_user_only_as_root(image: str, daemon: docker.DockerClient) -> None:
    """The services' image runs as 1001; the node's is the one exception, for NET_ADMIN."""
    assert daemon.images.get("berth/service:vpn-test").attrs["Config"]["User"] == "berth"
    assert daemon.images.get(image).attrs["Config"]["User"] == "root"
