"""1,000 changes of peers in a row while 20 other clients ping every 10 ms and one runs iperf3, all through one node.

The baseline is the same time without changes.  ``lost`` pings of all clients, ``resets`` of handshakes, and the
``loss`` of iperf3's throughput.  iperf3 is held to a rate that one machine carries beside the rest (it does the work
of all 22 here), so that its loss shows packets that were held up or lost, and not who had to share a processor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import docker

from bench.harness import Measurement, progress
from bench.wireguard_lab import Box, labels, node_image, node_tag, percentile, root
from engine.docker.build import Build, run_build

changes: Final = 1000
pingers: Final = 20
_interval: Final = 0.01  # seconds between pings
_seconds: Final = 14  # of pings and iperf3: the changes take ten, and all of them fall into it
_rate: Final = "40M"  # bits a second
_node: Final = "10.77.0.1"
_image: Final = "berth/wireguard:bench-churn"


@dataclass(frozen=True)
class Round:
    """``lost`` and ``sent`` pings of all clients, ``bits`` a second of iperf3, ``seconds`` of each change."""

    sent: int
    lost: int
    bits: float
    seconds: tuple[float, ...]


def run() -> Iterator[Measurement]:
    """All figures."""
    with ExitStack() as stack:
        image = stack.enter_context(_with_iperf3())
        network = stack.enter_context(_network())
        node = stack.enter_context(Box(image, network))
        clients = [stack.enter_context(Box(image, network)) for _ in range(pingers + 1)]
        progress(f"{len(clients)} clients connect")
        _connect(node, clients)
        node.run("iperf3 -s -D")
        progress("without changes")
        calm = _round(node, clients, 0)
        before = _handshakes(node, clients)
        progress(f"{changes} changes")
        busy = _round(node, clients, changes)
        resets = sum(1 for key, at in _handshakes(node, clients).items() if at != before[key])
    yield Measurement("churn", str(changes), "lost", "pings", busy.lost, calm.lost, 0)
    yield Measurement("churn", str(changes), "sent", "pings", busy.sent, calm.sent)
    yield Measurement("churn", str(changes), "resets", "handshakes", resets, None, 0)
    yield Measurement("churn", str(changes), "throughput", "Mbit/s", busy.bits / 1e6, calm.bits / 1e6)
    yield Measurement("churn", str(changes), "loss", "percent", max(1 - busy.bits / calm.bits, 0) * 100, None, 5)
    yield Measurement("churn", str(changes), "p99", "ms", percentile(busy.seconds, 0.99) * 1000)


def _round(node: Box, clients: Sequence[Box], count: int) -> Round:
    *pinging, loading = clients
    ping = f"ping -q -n -i {_interval} -c {int(_seconds / _interval)} -W 2 {_node} || true"
    with ThreadPoolExecutor(len(clients) + 1) as pool:
        pings = [pool.submit(client.run, ping) for client in pinging]
        load = pool.submit(loading.run, f"iperf3 -J -c {_node} -t {_seconds} -b {_rate}")
        seconds = node.python("bench.churn_inside", "change", str(count)) if count else [0.0]
        counts = [re.search(r"(\d+) packets transmitted, (\d+) received", done.result()) for done in pings]
        received = json.loads(load.result())["end"]["sum_received"]["bits_per_second"]
    assert all(counts), "a ping ended without a summary"
    sent, answered = (sum(int(found[part]) for found in counts if found) for part in (1, 2))
    return Round(sent, sent - answered, received, tuple(seconds))


def _connect(node: Box, clients: Sequence[Box]) -> None:
    node.run(f"ip address add {_node}/16 dev wg0 && wg set wg0 listen-port 51820")
    key, endpoint = node.run("wg show wg0 public-key").strip(), f"{node.address}:51820"
    members: dict[str, str] = {}
    for number, client in enumerate(clients, 2):
        address = f"10.77.0.{number}"
        members[client.run("wg show wg0 public-key").strip()] = address
        client.run(
            f"ip address add {address}/16 dev wg0 && "
            f"wg set wg0 peer {key} endpoint {endpoint} allowed-ips 10.77.0.0/16 persistent-keepalive 5"
        )
    node.python("bench.churn_inside", "start", f"'{json.dumps(members)}'")
    for client in clients:
        client.run(f"for i in $(seq 30); do ping -n -c 1 -W 1 {_node} > /dev/null && exit 0; done; exit 1")


def _handshakes(node: Box, clients: Sequence[Box]) -> dict[str, str]:
    """Key -> time of the last handshake; sessions are renewed every two minutes, longer than a round."""
    lines = node.run("wg show wg0 latest-handshakes").splitlines()
    keys = {client.run("wg show wg0 public-key").strip() for client in clients}
    return {key: at for key, at in (line.split("\t") for line in lines) if key in keys}


@contextmanager
def _with_iperf3() -> Iterator[str]:
    daemon = docker.from_env()
    host = daemon.api.base_url.replace("http+docker://localhost", "unix:///var/run/docker.sock")
    with node_image():
        # By name: a build finds no local image by its id.
        build = Build(_image, ".", "bench/churn.Dockerfile", {"NODE": node_tag})
        run_build(build, root, host, 600, lambda _: None)
        try:
            yield _image
        finally:
            daemon.images.remove(_image, force=True)
            daemon.close()


@contextmanager
def _network() -> Iterator[str]:
    daemon: Any = docker.from_env()
    made = daemon.networks.create("berth-bench-churn", labels=labels)
    try:
        yield "berth-bench-churn"
    finally:
        made.remove()
        daemon.close()
