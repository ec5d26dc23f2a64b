"""100 clients of one bridge at once for a minute: what is lost or wrong, and what memory the bridge takes.

Each client is a local peer of ``udp2tcp``, so each has a TCP connection and a UDP socket of its own at the server end,
which is the stack's own image with its service.  The baseline is the same load on the echo without a bridge.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any, Final

from docker.models.containers import Container

from bench.bridge_lab import bridge_image, bridge_tag, network
from bench.harness import Measurement, progress
from bench.wireguard_lab import Box, InContainer, labels

clients: Final = 100
seconds: Final = 60
_echo_port: Final = 9000
_most_memory: Final = 200  # MiB


class Server(InContainer):
    """The server end before ``target``; a context manager that removes it."""

    def __init__(self, network: str, target: str) -> None:
        self._network, self._target = network, target
        super().__init__()

    def __enter__(self) -> Server:
        self._container = self._daemon.containers.run(
            bridge_tag,
            name=f"berth-bench-{secrets.token_hex(3)}",
            labels=labels,
            network=self._network,
            environment={"BRIDGE_END": "tcp2udp", "UDP_FORWARD": self._target, "LOG_LEVEL": "warning"},
            read_only=True,
            cap_drop=["ALL"],
            tmpfs={"/run/bridge": "size=1m,mode=700,uid=1001,gid=1001", "/tmp": "size=16m"},
            detach=True,
        )
        return self

    @property
    def address(self) -> str:
        return _address(self.container, self._network)

    def await_ready(self) -> None:
        """RuntimeError where it is not within half a minute."""
        for _ in range(60):
            if self.container.exec_run(["http-healthcheck", "8080"]).exit_code == 0:
                return
            time.sleep(0.5)
        raise RuntimeError(f"the bridge did not become ready: {self.container.logs().decode()[-2000:]}")

    def memory(self) -> tuple[float, float]:
        """MiB that the program, and that the whole container's processes, had in memory at most."""
        script = 'for p in /proc/[0-9]*; do echo "$(cat $p/comm) $(grep VmHWM $p/status | tr -dc 0-9)"; done'
        lines = self.container.exec_run(["sh", "-c", script]).output.decode().splitlines()
        sizes = [(line.split()[0], int(line.split()[1]) / 1024) for line in lines if len(line.split()) == 2]
        lasting = [(name, size) for name, size in sizes if name.startswith(("berth-bridge", "python"))]
        return sum(size for name, size in lasting if name.startswith("berth")), sum(size for _, size in lasting)


def run() -> Iterator[Measurement]:
    """All figures."""
    with bridge_image() as image, network() as name, Box(image, name, wireguard=False) as far:
        far.run(f"python -m bench.bridge_clients_inside echo {_echo_port} > /tmp/echo.log 2>&1 &")
        target = f"{far.address}:{_echo_port}"
        with Server(name, target) as server, Box(image, name, wireguard=False) as near:
            server.await_ready()
            progress(f"{clients} clients without a bridge")
            plain = _load(near, far.address, _echo_port)
            flags = f"--udp-listen 127.0.0.1:7000 --tcp-forward {server.address}:51840 --max-peers {clients}"
            near.run(f"berth-bridge udp2tcp {flags} --log-level warning > /tmp/bridge.log 2>&1 &")
            time.sleep(1)
            progress(f"{clients} clients through the bridge")
            bridged = _load(near, "127.0.0.1", 7000)
            program, whole = server.memory()
    case = str(clients)
    for metric, unit in (("silent", "clients"), ("errors", "errors"), ("wrong", "datagrams"), ("lost", "datagrams")):
        yield Measurement("bridge_clients", case, metric, unit, bridged[metric], plain[metric], 0)
    yield Measurement("bridge_clients", case, "answered", "datagrams", bridged["answered"], plain["answered"])
    for metric in ("p50", "p99"):
        yield Measurement("bridge_clients", case, metric, "ms", bridged[metric], plain[metric])
    yield Measurement("bridge_clients", f"{case}, program", "memory_mib", "MiB", program, None, _most_memory)
    yield Measurement("bridge_clients", f"{case}, with its service", "memory_mib", "MiB", whole, None, _most_memory)


def _load(near: Box, host: str, port: int) -> dict[str, Any]:
    found: dict[str, Any] = near.python(
        "bench.bridge_clients_inside", "load", host, str(port), str(clients), str(seconds)
    )
    return found


def _address(container: Container, network: str) -> str:
    container.reload()
    found: str = container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    return found
