"""A WireGuard session through bridges: where UDP is dropped, and over a bridge that is killed."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from docker.models.containers import Container

from tests.integration.tunnel.conftest import Lab, address_of, eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


class WireGuard:
    """A container with an interface wg0 at ``address``."""

    def __init__(self, lab: Lab, image: str, address: str) -> None:
        options: dict[str, Any] = {"cap_drop": ["ALL"], "cap_add": ["NET_ADMIN", "NET_RAW"], "user": "0"}
        self.container: Container = lab.run(
            image, ["sleep", "infinity"], devices=["/dev/net/tun"], stop_signal="SIGKILL", **options
        )
        self.address = address
        self.run("wireguard-go wg0 && ip link set wg0 up && wg genkey | wg set wg0 private-key /dev/stdin")
        self.run(f"ip address add {address}/24 dev wg0 && wg set wg0 listen-port 51820")

    def run(self, script: str) -> str:
        status, output = self.container.exec_run(["sh", "-c", script])
        text: str = output.decode()
        assert status == 0, f"{script}: {text}"
        return text

    @property
    def key(self) -> str:
        return self.run("wg show wg0 public-key").strip()

    def knows(self, other: WireGuard, endpoint: str = "") -> None:
        self.run(f"wg set wg0 peer {other.key} allowed-ips {other.address}/32 {endpoint}")

    def reaches(self, other: WireGuard) -> bool:
        status, _ = self.container.exec_run(["ping", "-n", "-c", "1", "-W", "1", other.address])
        return bool(status == 0)

    @property
    def handshake(self) -> str:
        return self.run("wg show wg0 latest-handshakes").split()[-1]


def test_a_session_crosses_where_udp_is_dropped_and_outlives_its_bridge(lab: Lab, wireguard_image: str) -> None:
    node = WireGuard(lab, wireguard_image, "10.77.0.1")
    client = WireGuard(lab, wireguard_image, "10.77.0.2")
    where = f"{address_of(node.container, lab.network)}:51820"
    bridges = [lab.server(where), lab.server(where)]
    for bridge in bridges:
        bridge.await_ready()
    client.run("nft add table inet block && nft add chain inet block out '{ type filter hook output priority 0; }'")
    client.run("nft add rule inet block out oifname eth0 meta l4proto udp counter drop")
    node.knows(client)
    client.knows(node, f"endpoint {where}")
    assert not client.reaches(node)
    assert int(re.findall(r"packets (\d+)", client.run("nft list table inet block"))[0]) > 0

    lab.copy("/usr/local/bin/berth-bridge", client.container)
    forwards = " ".join(f"--tcp-forward node-1={bridge.endpoint}" for bridge in bridges)
    client.container.exec_run(
        ["sh", "-c", f"berth-bridge udp2tcp --udp-listen 127.0.0.1:7000 {forwards} > /tmp/bridge.log 2>&1"], detach=True
    )
    client.knows(node, "endpoint 127.0.0.1:7000")
    eventually(lambda: client.reaches(node), "the ping crosses the bridge")
    session = client.handshake
    assert bridges[0].stats()["open"] == 1

    client.container.exec_run(["sh", "-c", f"ping -n -i 0.05 -w 15 {node.address} > /tmp/ping.log"], detach=True)
    eventually(lambda: "icmp_seq=40 " in client.run("cat /tmp/ping.log"), "pings are under way")
    bridges[0].container.kill()
    eventually(lambda: "min/avg/max" in client.run("cat /tmp/ping.log"), "the pings are done", 30)
    heard = sorted(int(found) for found in re.findall(r"icmp_seq=(\d+) ttl", client.run("cat /tmp/ping.log")))
    gap = max(later - earlier for earlier, later in pairwise(heard)) * 0.05
    assert gap < 5, f"{gap:g} s without an answer"
    assert client.handshake == session
    assert bridges[1].stats()["open"] == 1
    log = client.run("cat /tmp/bridge.log")
    assert log.count('"event":"active endpoint"') == 2
    assert bridges[0].network.name not in log
    assert where.split(":")[0] not in log
