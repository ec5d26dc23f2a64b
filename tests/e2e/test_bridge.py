"""Where UDP is blocked, on the real deployment: through a TCP bridge, past the loss of one, and of its node."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access.client.device import Profile
from berth.access.client.service import AccessService
from berth.access.client.tunnel.bridges import mtu
from berth.access.client.wallet import Wallet
from berth.chain import dev
from berth.chain.transactions import Sender
from demo.client import Client, bridge_port
from demo.deployment import Deployment
from providers.settings import anvil_key
from tests.e2e.conftest import Pulumi, root

pytestmark = [pytest.mark.docker, pytest.mark.chain]


@dataclass(frozen=True)
class Member:
    """A client that may come in; ``straight`` and ``bridged`` are its files for node-1."""

    client: Client
    deployment: Deployment
    straight: str
    bridged: str

    @property
    def page(self) -> str | None:
        return self.client.reaches(self.deployment.members_page, 2)

    def handshake(self, node: str) -> int:
        """UNIX seconds of the last one with a node; 0 without."""
        key = self.deployment.nodes[node]["publicKey"]
        lines = self.client.run("wg show wg0 latest-handshakes").splitlines()
        return int(dict(line.split("\t") for line in lines)[key])


def eventually(what: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.2)


@pytest.fixture
def member(pulumi: Pulumi) -> Iterator[Member]:
    """On a network that lets no UDP out."""
    deployment = Deployment(pulumi.outputs())
    fresh = dev.Wallet.fresh()
    wallet, private = Wallet(fresh.key, fresh.address), X25519PrivateKey.generate()
    token = deployment.passes.mint(Sender(deployment.endpoint, anvil_key), wallet.address)
    with AccessService(deployment.url) as service:
        service.sign_in(wallet)
        device = service.register(wallet, token, private)
        eventually(lambda: all(device.key in deployment.peers(name) for name in deployment.nodes))
        addresses = (device.address, device.address6)
        offered = {"publicKey": deployment.node["publicKey"], "endpoint": deployment.node["edgeEndpoint"]}
        profile = Profile.of(service.config, private, addresses, offered)
        others = [node["publicKey"] for name, node in deployment.nodes.items() if name != "node-1"]
        prefix, labels = f"berth-{pulumi.stack}", {"berth.stack": f"berth/{pulumi.stack}", "berth.test": "bridge"}
        with Client(f"{prefix}-bridge-client", deployment.node["image"], f"{prefix}-edge", labels) as client:
            client.block_udp()
            client.take_program(f"{prefix}-bridge-1")
            bridged = profile.through(bridge_port, mtu(profile.mtu), others)
            yield Member(client, deployment, profile.text(), bridged.text())
        service.revoke(wallet, token)


def test_a_client_whose_udp_is_dropped_reaches_the_members_page_through_the_bridge(member: Member) -> None:
    client, bridges = member.client, member.deployment.bridges("node-1")
    client.use(member.straight)
    for _ in range(3):
        assert member.page is None
    assert member.handshake("node-1") == 0

    client.start_bridge(*(one["edgeEndpoint"] for one in bridges.values()))
    client.use(member.bridged)
    eventually(lambda: member.page)
    assert member.handshake("node-1") > 0
    # It is UDP that is dropped all the while, and the bridge that carries: without it there is nothing.
    client.stop_bridge()
    time.sleep(0.5)
    assert member.page is None
    assert client.unblock_udp() > 0


def test_a_session_outlives_its_bridge_and_the_tunnel_its_node(member: Member, pulumi: Pulumi) -> None:
    client, deployment = member.client, member.deployment
    bridges = [
        {"endpoint": one["edgeEndpoint"], "node": node, "key": deployment.nodes[node]["publicKey"]}
        for node in ("node-1", "node-2")
        for one in deployment.bridges(node).values()
    ]
    assert [one["node"] for one in bridges] == ["node-1", "node-1", "node-2"]
    client.use(member.bridged)
    for file in sorted((root / "berth/access/client").rglob("*.py")):  # no image has what is for people's machines
        folder = f"/app/{file.parent.relative_to(root)}"
        client.run(f"mkdir -p {folder}")
        client.put(f"{folder}/{file.name}", file.read_bytes(), 0o644)
    client.put("/tmp/keep.py", Path(__file__).with_name("keep_tunnel.py").read_bytes(), 0o644)
    client.put("/tmp/bridges.json", json.dumps(bridges).encode(), 0o644)
    inside = deployment.node["tunnelAddress"]
    client.run(f"cd /app && nohup python3 /tmp/keep.py {inside} < /tmp/bridges.json > /tmp/keep.log 2>&1 &")
    daemon = docker.from_env()
    containers = {name: daemon.containers.get(f"berth-{pulumi.stack}-{name}") for name in ("bridge-1", "node-1")}

    def said() -> list[dict[str, object]]:
        return [json.loads(line) for line in client.run("cat /tmp/keep.log").splitlines()]

    try:
        eventually(lambda: member.page)
        # It is said after the page is there: the first line of all names no endpoint yet.
        eventually(lambda: said()[-1]["endpoint"] == bridges[0]["endpoint"])
        session = member.handshake("node-1")

        # One bridge of two is gone: the same session goes on through the other one.
        containers["bridge-1"].kill()
        eventually(lambda: member.page, 15)
        assert said()[-1]["endpoint"] == bridges[1]["endpoint"]
        assert member.handshake("node-1") == session
        assert member.handshake("node-2") == 0

        # The node itself is gone, and both its bridges with it: another node lets the same key in.
        containers["bridge-1"].start()
        containers["node-1"].kill()
        eventually(lambda: member.page, 60)
        assert member.handshake("node-2") > 0
        assert said()[-1]["node"] == said()[-1]["peer"] == "node-2"
    finally:
        for container in containers.values():
            container.start()
        daemon.close()
    with AccessService(deployment.url) as service:  # the others want the stack as it was
        eventually(lambda: len(service.bridges()) == len(bridges))


def test_berth_tunnel_takes_the_stacks_bridges_and_ends_in_order(pulumi: Pulumi, tmp_path: Path) -> None:
    deployment = Deployment(pulumi.outputs())
    eventually(lambda: len(AccessService(deployment.url).bridges()) == len(deployment.outputs["bridges"]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()
    command = [root / ".venv/bin/berth", "tunnel", "--url", deployment.url, "--stack", pulumi.stack, "--node", "node-2"]
    process = subprocess.Popen(
        [*command, "--listen", f"{listen[0]}:{listen[1]}", "--json"],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["connected"], first["bridge"]) == (False, None)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wireguard:
            wireguard.sendto(b"\x01" + bytes(147), listen)  # no handshake, but a datagram to carry
            (bridge,) = deployment.bridges("node-2").values()
            while not (told := json.loads(process.stdout.readline()))["connected"]:
                pass
        assert (told["node"], told["bridge"]) == ("node-2", bridge["endpoint"])
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert errors == ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(listen)  # nothing is left behind that has it
