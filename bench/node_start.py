"""From the creation of a node's container until Docker calls it healthy.

``new``: with an empty volume, so that it makes its keys; ``again``: with the volume of a node that had a list.  The
baseline is a container of the same image that starts Python and nothing else.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

import docker
from docker.models.containers import Container

from bench.harness import Measurement, progress
from bench.upload import upload
from bench.wireguard_lab import labels, node_image
from berth.chain.anvil import Anvil, chain_id
from berth.chain.seed import deploy

runs: Final = 5
_target: Final = 5.0
_second: Final = 10**9
_limit: Final = 60.0


def run() -> Iterator[Measurement]:
    """Medians of five."""
    with ExitStack() as stack:
        image = stack.enter_context(node_image())
        daemon = docker.from_env()
        stack.callback(daemon.close)
        network = daemon.networks.create(f"berth-bench-{secrets.token_hex(3)}", labels=labels)
        stack.callback(network.remove)
        network.reload()
        bridge = network.attrs["IPAM"]["Config"][0]["Gateway"]
        anvil = stack.enter_context(Anvil("--host", f"127.0.0.1,{bridge}"))
        environment = {
            "NODE_ID": "node-1",
            "NETWORK": "local",
            "RPC_URLS": f"http://{bridge}:{anvil.port}",
            "CHAIN_ID": str(chain_id),
            "KEY_REGISTRY": deploy(anvil.endpoint()).key_registry,
            "CONTROL_TOKEN_FILE": "/run/berth/control-token",
        }
        progress("a container that starts Python alone")
        bare = median(_bare(daemon, image) for _ in range(runs))
        progress("nodes with an empty volume, and again with the same")
        new, again = [], []
        for _ in range(runs):
            volume = daemon.volumes.create(f"berth-bench-{secrets.token_hex(3)}", labels=labels)
            try:
                new.append(_node(daemon, image, network.name, environment, volume.name))
                again.append(_node(daemon, image, network.name, environment, volume.name))
            finally:
                volume.remove(force=True)
    yield Measurement("node_start", "new", "seconds", "s", median(new), bare, _target)
    yield Measurement("node_start", "again", "seconds", "s", median(again), bare, _target)


def _node(daemon: docker.DockerClient, image: str, network: str, environment: dict[str, str], volume: str) -> float:
    """Seconds from the call that creates it; checked for health as the stack's component says."""
    started = time.perf_counter()
    container = daemon.containers.create(
        image,
        name=f"berth-bench-{secrets.token_hex(3)}",
        labels=labels,
        network=network,
        environment=environment,
        user="0:0",
        cap_drop=["ALL"],
        cap_add=["NET_ADMIN"],
        devices=["/dev/net/tun"],
        read_only=True,
        tmpfs={"/run/wireguard": "mode=700", "/tmp": ""},
        sysctls={"net.ipv4.ip_forward": "1"},
        volumes=[f"{volume}:/var/lib/berth", "/run/berth"],
        healthcheck={
            "test": ["CMD", "http-healthcheck", "8080"],
            "interval": _second,
            "timeout": 5 * _second,
            "retries": 5,
        },
    )
    try:
        upload(container, {"control-token": secrets.token_hex(32)}, "/run/berth")
        container.start()
        return _until(container, started, lambda state: state.get("Health", {}).get("Status") == "healthy")
    finally:
        container.remove(force=True, v=True)


def _bare(daemon: docker.DockerClient, image: str) -> float:
    started = time.perf_counter()
    container = daemon.containers.run(image, ["python", "-c", ""], labels=labels, network="none", detach=True)
    try:
        return _until(container, started, lambda state: state["Status"] == "exited")
    finally:
        container.remove(force=True, v=True)


def _until(container: Container, started: float, holds: Any) -> float:
    while True:
        container.reload()
        if holds(container.attrs["State"]):
            return time.perf_counter() - started
        if time.perf_counter() - started > _limit:
            raise RuntimeError(f"not ready within {_limit:g} s:\n{container.logs(tail=20).decode()}")
        time.sleep(0.02)
