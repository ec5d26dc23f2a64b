"""Two WireGuards and the ways between them: direct, through our bridge, and through what else carries UDP over TCP."""

from __future__ import annotations

import json
import re
import secrets
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import docker

from bench.harness import progress
from bench.wireguard_lab import Box, labels, node_image, node_tag, root
from engine.docker.build import Build, run_build

bridge_tag: Final = "berth/bridge:bench"
_image: Final = "berth/wireguard:bench-bridge"
_service: Final = "berth/service:bench"
_wireguard: Final = 51820
_server, _client = "10.77.0.1", "10.77.0.2"


@contextmanager
def bridge_image() -> Iterator[str]:
    """The node's image with the bridge and its rivals, built as the stack builds both."""
    daemon = docker.from_env()
    host = daemon.api.base_url.replace("http+docker://localhost", "unix:///var/run/docker.sock")
    with node_image():
        progress("building the bridge's image, and what it is measured against")
        made = []
        for build in (
            Build(bridge_tag, ".", "images/bridge/Dockerfile", {"SERVICE": _service}),
            # By name: a build finds no local image by its id.
            Build(_image, ".", "bench/bridge.Dockerfile", {"NODE": node_tag, "BRIDGE": bridge_tag}),
        ):
            run_build(build, root, host, 900, lambda _: None)
            made.append(build.image)
        try:
            yield _image
        finally:
            for tag in reversed(made):
                daemon.images.remove(tag, force=True)
            daemon.close()


@contextmanager
def network() -> Iterator[str]:
    """A bridge network of its own."""
    daemon = docker.from_env()
    made = daemon.networks.create(f"berth-bench-{secrets.token_hex(3)}", labels=labels)
    try:
        yield str(made.name)
    finally:
        made.remove()
        daemon.close()


@dataclass(frozen=True)
class Way:
    """How the client's datagrams get to the server: commands on both, and the endpoint that the client's peer has.

    ``{server}`` stands for the server's address.
    """

    name: str
    at_server: str = ""
    at_client: str = ""
    endpoint: str = "{server}:51820"


direct: Final = Way("direct")
ours: Final = Way(
    "bridge",
    "berth-bridge tcp2udp --tcp-listen 0.0.0.0:7001 --udp-forward 127.0.0.1:51820 --log-level warning",
    "berth-bridge udp2tcp --udp-listen 127.0.0.1:7101 --tcp-forward {server}:7001 --log-level warning",
    "127.0.0.1:7101",
)
crate: Final = Way(
    "crate udp-over-tcp",
    "udp-over-tcp --tcp-listen 7002 --udp-bind 127.0.0.1:7202 --udp-sendto 127.0.0.1:51820",
    "udp-over-tcp --tcp-connect {server}:7002 --udp-bind 127.0.0.1:7102 --udp-sendto 127.0.0.1:51820",
    "127.0.0.1:7102",
)
# It keeps no boundaries: what TCP puts together, or takes apart, is no datagram of WireGuard any more.
socat: Final = Way(
    "socat",
    "socat -b 65535 TCP-LISTEN:7003,reuseaddr,fork,nodelay UDP:127.0.0.1:51820",
    "socat -b 65535 UDP-LISTEN:7103,bind=127.0.0.1,fork TCP:{server}:7003,nodelay",
    "127.0.0.1:7103",
)


class Pair:
    """A client and a server with WireGuard between them, one way at a time."""

    def __init__(self, server: Box, client: Box) -> None:
        self.server, self.client = server, client
        for box, address in ((server, _server), (client, _client)):
            box.run(f"ip address add {address}/24 dev wg0 && wg set wg0 listen-port {_wireguard}")
        self._key = self._peer(client, server, _server, "")
        self._peer(server, client, _client, "")
        server.run("iperf3 -s -D")

    @staticmethod
    def _peer(here: Box, there: Box, address: str, endpoint: str) -> str:
        key = there.run("wg show wg0 public-key").strip()
        here.run(f"wg set wg0 peer {key} allowed-ips {address}/32 {endpoint}")
        return key

    @contextmanager
    def over(self, way: Way) -> Iterator[None]:
        """The tunnel by this way; its programs end with it."""
        started = []
        for box, command in ((self.server, way.at_server), (self.client, way.at_client)):
            if command:
                line = command.format(server=self.server.address)
                pid = box.run(f"{line} > /tmp/way.log 2>&1 & echo $!").strip()
                started.append((box, pid))
                time.sleep(0.5)
        try:
            endpoint = way.endpoint.format(server=self.server.address)
            self.client.run(f"wg set wg0 peer {self._key} endpoint {endpoint}")
            self.client.run(f"for i in $(seq 20); do ping -n -c 1 -W 1 {_server} > /dev/null && exit 0; done; exit 1")
            yield
        finally:
            for box, pid in started:
                box.run(f"kill {pid}; sleep 0.3")

    def mbits(self, seconds: float, reverse: bool = False) -> float:
        """What iperf3 carries by TCP through the tunnel; 0.0 where it cannot."""
        command = f"iperf3 -J -c {_server} -t {seconds:g} -O 1 --connect-timeout 3000 {'-R' if reverse else ''}"
        status, output = self.client.container.exec_run(["timeout", str(int(seconds + 15)), "sh", "-c", command])
        try:
            answer: dict[str, Any] = json.loads(output)
            return float(answer["end"]["sum_received"]["bits_per_second"]) / 1e6
        except (ValueError, KeyError):
            progress(f"iperf3 ended with {status}: {output[-200:].decode(errors='replace')}")
            return 0.0

    def ping(self, count: int = 500) -> float:
        """The median time of a ping through the tunnel, milliseconds."""
        shown = self.client.run(f"ping -n -i 0.005 -c {count} -W 1 {_server}")
        return statistics.median(float(found) for found in re.findall(r"time=([\d.]+) ms", shown))
