"""How long a download through the tunnel stands still when the bridge that carries it is killed, twenty times.

Two bridges stand before one WireGuard.  ``killed``: SIGKILL to the container in use; ``vanished``: its network is cut,
so that nobody says goodbye.  The gap is the longest time without a byte between one blow and the next; the baseline is
that of the same download in as long a time without any.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Final

import docker
from docker.models.containers import Container
from docker.models.networks import Network

from bench.bridge_failover_inside import listen
from bench.harness import Measurement, progress
from bench.wireguard_lab import Box, labels, node_image, percentile, root
from engine.docker.build import Build, run_build

kills: Final = 20
cuts: Final = 4
_apart: Final = 5.0  # seconds between two kills
_far_apart: Final = 10.0
_quiet: Final = 4  # times _apart, before the first
_down: Final = 0.5  # seconds until what was killed is started again
_server, _client = "10.99.0.1", "10.99.0.2"
_port: Final = 51840
_target: Final = 3.0


def run() -> Iterator[Measurement]:
    """Gaps of both kinds, and whether what arrived is what was sent."""
    with ExitStack() as stack:
        image = stack.enter_context(node_image())
        daemon = docker.from_env()
        stack.callback(daemon.close)
        progress("building the bridge's image")
        host = daemon.api.base_url.replace("http+docker://localhost", "unix:///var/run/docker.sock")
        tag = "berth/bridge:bench-failover"
        build = Build(
            "berth/bridge:bench-failover", ".", "images/bridge/Dockerfile", {"SERVICE": "berth/service:bench"}
        )
        bridge = run_build(build, root, host, 900, lambda _: None)
        stack.callback(daemon.images.remove, tag, force=True)
        network = daemon.networks.create(f"berth-bench-{secrets.token_hex(3)}", labels=labels)
        stack.callback(network.remove)
        server = stack.enter_context(Box(image, str(network.name)))
        client = stack.enter_context(Box(image, str(network.name)))
        bridges = [_bridge(daemon, bridge, network, server, stack) for _ in range(2)]
        _connect(server, client, bridges[0])
        progress(f"{kills} kills during a download")
        killed = _disturb(client, bridges, kills, _apart, _kill)
        progress(f"{cuts} cuts of the network during another")
        vanished = _disturb(client, bridges, cuts, _far_apart, lambda one: _cut(network, one))
    yield from _figures("killed", killed, _target)
    yield from _figures("vanished", vanished, None)


def _figures(case: str, found: _Found, target: float | None) -> Iterator[Measurement]:
    for metric, share in (("p50", 0.5), ("p95", 0.95)):
        limit = target if metric == "p95" else None
        quiet = percentile(found.quiet, share)
        yield Measurement("bridge_failover", case, metric, "s", percentile(found.gaps, share), quiet, limit)
    whole = float(found.whole)
    yield Measurement("bridge_failover", case, "downloads whole", "", whole, None, 1.0, "at least")
    yield Measurement("bridge_failover", case, "failovers", "", float(found.failovers))


class _Found:
    """``gaps`` and ``quiet``: the longest gap in each time between two blows, and in as long without one."""

    def __init__(self, told: dict[str, Any], blows: list[float], apart: float) -> None:
        self.whole, self.failovers = bool(told["whole"]), int(told["failovers"])
        gaps = [(float(begin), float(end)) for begin, end in told["gaps"]]
        first = blows[0] - _quiet * apart

        def longest(since: float, until: float) -> float:
            return max((end - begin for begin, end in gaps if end > since and begin < until), default=0.0)

        ends = [*blows[1:], blows[-1] + apart]
        self.gaps = [longest(blow, end) for blow, end in zip(blows, ends, strict=True)]
        self.quiet = [longest(first + i * apart, first + (i + 1) * apart) for i in range(_quiet)]


def _bridge(daemon: docker.DockerClient, image: str, network: Network, server: Box, stack: ExitStack) -> Container:
    """The bridge as the stack runs it."""
    made = daemon.containers.run(
        image,
        name=f"berth-bench-{secrets.token_hex(3)}",
        labels=labels,
        network=network.name,
        environment={
            "BRIDGE_END": "tcp2udp",
            "TCP_LISTEN": f"0.0.0.0:{_port}",
            "UDP_FORWARD": f"{server.address}:51820",
        },
        read_only=True,
        tmpfs={"/run/bridge": "mode=700,uid=1001,gid=1001", "/tmp": ""},
        cap_drop=["ALL"],
        detach=True,
    )
    stack.callback(made.remove, force=True, v=True)
    return made


def _connect(server: Box, client: Box, bridge: Container) -> None:
    """Two WireGuards, the client's by way of its own end of a bridge."""
    packed, _ = bridge.get_archive("/usr/local/bin/berth-bridge")
    client.container.put_archive("/usr/local/bin", b"".join(packed))
    keys = {box: box.run("wg show wg0 public-key").strip() for box in (server, client)}
    server.run(f"wg set wg0 listen-port 51820 peer {keys[client]} allowed-ips {_client}/32")
    client.run(
        f"wg set wg0 peer {keys[server]} allowed-ips {_server}/32 endpoint {listen} persistent-keepalive 25 && "
        "ip link set wg0 mtu 1414"
    )
    for box, address in ((server, _server), (client, _client)):
        box.run(f"ip address add {address}/24 dev wg0")
    server.run(f"nohup python -m bench.bridge_failover_inside serve {_server} > /tmp/serve.log 2>&1 &")


def _disturb(
    client: Box, bridges: list[Container], times: int, apart: float, strike: Callable[[Container], None]
) -> _Found:
    """A download that the bridge in use is struck under, again and again."""
    by_address = {f"{bridge.name}:{_port}": bridge for bridge in bridges}
    seconds = int((_quiet + times + 2) * apart)
    names = " ".join(f"node={address}" for address in by_address)
    client.run("rm -f /tmp/active /tmp/told")
    command = f"python -m bench.bridge_failover_inside fetch {_server} {seconds} {names}"
    client.run(
        f"nohup sh -c '{command} > /tmp/told.new 2> /tmp/fetch.log; mv /tmp/told.new /tmp/told' > /dev/null 2>&1 &"
    )
    _active(client, by_address)
    time.sleep(_quiet * apart + 1)
    blows: list[float] = []
    for _ in range(times):
        struck = _active(client, by_address)
        blows.append(time.monotonic())
        strike(struck)
        time.sleep(max(0.0, blows[-1] + apart - time.monotonic()))
    deadline = time.monotonic() + seconds
    while not (told := client.run("cat /tmp/told 2>/dev/null || true")):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the download did not end: {client.run('cat /tmp/fetch.log')}")
        time.sleep(1)
    return _Found(json.loads(told), blows, apart)


def _active(client: Box, bridges: dict[str, Container]) -> Container:
    """The bridge in use; waits until there is one."""
    for _ in range(150):
        if found := bridges.get(client.run("cat /tmp/active 2>/dev/null || true").strip()):
            return found
        time.sleep(0.2)
    raise RuntimeError(f"no bridge is in use: {client.run('cat /tmp/fetch.log')}")


def _kill(bridge: Container) -> None:
    bridge.kill()
    time.sleep(_down)
    bridge.start()


def _cut(network: Network, bridge: Container) -> None:
    network.disconnect(bridge)
    time.sleep(_far_apart / 2)
    network.connect(bridge)
