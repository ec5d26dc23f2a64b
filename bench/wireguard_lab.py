"""A WireGuard in a container of the node's image, with this checkout's code beside it: for benchmarks of the node."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import docker
from docker.models.containers import Container

from bench.harness import progress
from engine.docker.build import Build, run_build

root: Final = Path(__file__).resolve().parents[1]
labels: Final = {"berth.test": "bench"}
node_tag: Final = "berth/wireguard:bench"
_build_seconds: Final = 900


@contextmanager
def node_image() -> Iterator[str]:
    """The node's image, built as the stack builds it; the builder's cache outlives it."""
    daemon = docker.from_env()
    service, wireguard = "berth/service:bench", node_tag
    progress("building the node's image")
    host = daemon.api.base_url.replace("http+docker://localhost", "unix:///var/run/docker.sock")
    run_build(Build(service, ".", "images/service/Dockerfile"), root, host, _build_seconds, lambda _: None)
    build = Build(wireguard, ".", "images/wireguard/Dockerfile", {"SERVICE": service, "WIREGUARD_GO": "required"})
    try:
        yield run_build(build, root, host, _build_seconds, lambda _: None)
    finally:
        for tag in (wireguard, service):
            daemon.images.remove(tag)
        daemon.close()


class InContainer:
    """What stands in one container that its ``__enter__`` starts; the container goes with it."""

    def __init__(self) -> None:
        self._daemon = docker.from_env()
        self._container: Container | None = None

    def __exit__(self, *_: object) -> None:
        if self._container is not None:
            self._container.remove(force=True, v=True)
        self._daemon.close()

    @property
    def container(self) -> Container:
        assert self._container is not None, f"use {type(self).__name__} as a context manager"
        return self._container


class Box(InContainer):
    """One container that waits for commands; a context manager that removes it."""

    def __init__(self, image: str, network: str = "none", wireguard: bool = True) -> None:
        self._image, self._network, self._wireguard = image, network, wireguard
        super().__init__()
        self.name = f"berth-bench-{secrets.token_hex(3)}"

    def __enter__(self) -> Box:
        self._container = self._daemon.containers.run(
            self._image,
            ["sleep", "infinity"],
            entrypoint=[],
            name=self.name,
            labels=labels,
            network=self._network,
            user="0",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN", "NET_RAW"],
            devices=["/dev/net/tun"],
            volumes={str(root): {"bind": "/src", "mode": "ro"}},
            environment={"PYTHONPATH": "/src:/app"},
            working_dir="/src",
            init=True,
            detach=True,
        )
        if self._wireguard:
            self.run("wireguard-go wg0 && ip link set wg0 up && wg genkey | wg set wg0 private-key /dev/stdin")
        return self

    @property
    def address(self) -> str:
        """On its network."""
        self.container.reload()
        found: str = self.container.attrs["NetworkSettings"]["Networks"][self._network]["IPAddress"]
        return found

    def run(self, script: str) -> str:
        """What a shell script prints; RuntimeError where it fails."""
        status, (output, errors) = self.container.exec_run(["sh", "-c", script], demux=True)
        if status:
            raise RuntimeError(f"{self.name}: `{script}` ended with {status}: {(errors or output or b'').decode()}")
        return (output or b"").decode()

    def python(self, module: str, *arguments: str) -> Any:
        """What ``python -m module`` prints, a JSON document."""
        return json.loads(self.run(" ".join(["python", "-m", module, *arguments])))


def percentile(durations: Sequence[float], share: float) -> float:
    """The value that ``share`` of ``durations`` does not exceed."""
    ordered = sorted(durations)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
