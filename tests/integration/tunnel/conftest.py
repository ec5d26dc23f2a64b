"""Bridges from the real image, locked up as the stack locks them up, on a network of their own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import docker
import httpx
import pytest
from docker.errors import ImageNotFound, NotFound
from docker.models.containers import Container
from docker.models.networks import Network

from engine.docker.build import Build
from tests.images import built

labels: Final = {"berth.test": "tunnel"}
service_tag: Final = "berth/service:tunnel-test"
udp_port: Final = 9000
bridge_port: Final = 51840

echo: Final = """
import socket
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
here.bind(("0.0.0.0", 9000))
while True:
    datagram, sender = here.recvfrom(65536)
    here.sendto(datagram, sender)
"""


@pytest.fixture(scope="session")
def image(daemon: docker.DockerClient) -> Iterator[str]:
    """The bridge's image, built as the stack builds it; the builder's cache outlives it."""
    tag = "berth/bridge:tunnel-test"
    built(daemon, Build(service_tag, ".", "images/service/Dockerfile"))
    yield built(daemon, Build(tag, ".", "images/bridge/Dockerfile", {"SERVICE": service_tag}))
    for name in (tag, service_tag):
        with suppress(ImageNotFound):
            daemon.images.remove(name)


@pytest.fixture(scope="session")
def wireguard_image(daemon: docker.DockerClient, image: str) -> Iterator[str]:
    """The node's image, for its WireGuard; after ``image``, on whose service image it stands."""
    tag = "berth/wireguard:tunnel-test"
    yield built(daemon, Build(tag, ".", "images/wireguard/Dockerfile", {"SERVICE": service_tag}))
    with suppress(ImageNotFound):
        daemon.images.remove(tag)


@dataclass
class Lab:
    """A network, and the containers on it."""

    daemon: docker.DockerClient
    network: Network
    image: str

    def __post_init__(self) -> None:
        self.made: list[Container] = []

    def run(self, image: str, command: list[str] | None = None, **options: Any) -> Container:
        """A container of any image."""
        made = self.daemon.containers.run(
            image,
            command,
            name=f"berth-test-{secrets.token_hex(4)}",
            labels=labels,
            network=self.network.name,
            detach=True,
            **options,
        )
        self.made.append(made)
        return made

    def bridge(self, environment: Mapping[str, str], **options: Any) -> Bridge:
        """A bridge as component MullvadProxy declares it."""
        return Bridge(
            self.run(
                self.image,
                environment=dict(environment),
                user="1001:1001",
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                tmpfs={"/run/bridge": "size=1m,mode=700,uid=1001,gid=1001", "/tmp": "size=16m"},
                mem_limit="256m",
                pids_limit=256,
                **options,
            ),
            self.network,
        )

    def server(self, target: str, **environment: str) -> Bridge:
        """The server end before ``target`` (host:port)."""
        return self.bridge({"BRIDGE_END": "tcp2udp", "UDP_FORWARD": target, **environment})

    def echo(self) -> str:
        """host:port of something that answers each datagram with itself."""
        made = self.run(self.image, ["python", "-c", echo], stop_signal="SIGKILL")
        return f"{address_of(made, self.network)}:{udp_port}"

    def copy(self, path: str, to: Container) -> None:
        """A file of the bridge's image to another container."""
        source = self.daemon.containers.create(self.image, labels=labels)
        try:
            stream, _ = source.get_archive(path)
            to.put_archive("/usr/local/bin", b"".join(stream))
        finally:
            source.remove()


@dataclass
class Bridge:
    """A running bridge."""

    container: Container
    network: Network

    @property
    def address(self) -> str:
        return address_of(self.container, self.network)

    @property
    def endpoint(self) -> str:
        return f"{self.address}:{bridge_port}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.address}:8080{path}", timeout=5)

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/stats").json()
        return found

    def await_ready(self, ready: bool = True) -> None:
        """Until its health says so."""

        def as_wanted() -> bool:
            try:
                return (self.get("/health").status_code == 200) is ready
            except httpx.HTTPError:
                return False

        eventually(as_wanted, f"the bridge becomes {'ready' if ready else 'unready'}: {self.logs()[-2000:]}")

    def logs(self) -> str:
        text: str = self.container.logs().decode()
        return text

    def run(self, *command: str) -> str:
        status, output = self.container.exec_run(list(command))
        assert status == 0, output.decode()
        text: str = output.decode()
        return text

    def program(self) -> tuple[int, int]:
        """Resident KiB and open descriptors of the forwarding program."""
        script = (
            "import pathlib\n"
            "for p in pathlib.Path('/proc').glob('[0-9]*'):\n"
            "    if p.joinpath('comm').read_text().startswith('berth-bridge'):\n"
            "        rss = [l for l in p.joinpath('status').read_text().splitlines() if l.startswith('VmRSS')]\n"
            "        print(rss[0].split()[1], len(list(p.joinpath('fd').iterdir())))\n"
        )
        resident, descriptors = self.run("python", "-c", script).split()
        return int(resident), int(descriptors)


def address_of(container: Container, network: Network) -> str:
    container.reload()
    found: str = container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
    return found


def eventually(is_so: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {what}")


@pytest.fixture
def lab(daemon: docker.DockerClient, image: str) -> Iterator[Lab]:
    network = daemon.networks.create(f"berth-test-{secrets.token_hex(3)}", labels=labels)
    made = Lab(daemon, network, image)
    yield made
    for container in made.made:
        with suppress(NotFound):
            container.remove(force=True, v=True)
    network.remove()
