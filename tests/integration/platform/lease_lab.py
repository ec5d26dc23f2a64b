"""A gateway before real leases on a bridge as the stack makes it, with the packet filter of the stack."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from zlib import crc32

import docker
import httpx
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import EndpointConfig, IPAMConfig, IPAMPool

from bench.upload import upload
from berth.leases.api import tickets
from components.haproxy import Front, render
from components.lease_front import LeaseFront
from components.parts import access_part, leases_part, web_part

labels = {"berth.test": "lease-gateway"}
domain = "test.localhost"
key = "k" * 64
hardened: dict[str, Any] = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "read_only": True,
    "labels": labels,
    "detach": True,
}


@dataclass
class LeaseLab:
    """``folder``: where the gateway's runtime socket is; ``stack``: part of the names of leases here."""

    daemon: docker.DockerClient
    images: Callable[[str], str]
    folder: Path
    open: bool = False
    per_minute: int = 100_000
    at_once: int = 256
    stack: str = field(default_factory=lambda: f"t{secrets.token_hex(3)}")
    containers: list[Container] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.interface = f"bl-{crc32(self.stack.encode()):08x}"
        self.pool = f"10.{60 + secrets.randbelow(30)}.0.0/18"
        self.network = self._make_network()
        self.folder.chmod(0o777)

    def rules(self) -> Container:
        """The stack's packet filter, until the bridge goes."""
        made: Container = self.daemon.containers.run(
            self.images("lease-rules"),
            user="0:0",
            network_mode="host",
            cap_add=["NET_ADMIN"],
            mem_limit="64m",
            tmpfs={"/tmp": "size=1m", "/run": "size=1m"},
            environment={
                "CHAIN": f"BERTH-{self.stack}",
                "BRIDGE": self.interface,
                "SHARED": str(self.subnet),
                "GATEWAYS": self.gateway_address,
                "POOL": self.pool,
            },
            **hardened,
        )
        self.containers.append(made)
        wait("the rules", lambda: made.exec_run(["rules", "check"]).exit_code == 0)
        return made

    def gateway(self) -> Container:
        """The gateway, with its fixed address on the bridge, published on a port of loopback."""
        front = Front(
            "http://localhost/",
            leases=LeaseFront(
                self.stack, domain, self.subnet, open=self.open, per_minute=self.per_minute, at_once=self.at_once
            ),
        )
        files = render([access_part(8080), leases_part(8080), web_part(8080)], self.stack, front)
        files["session-key"] = f"global\n    setenv LEASE_SESSION_KEY {key}\n"
        made: Container = self.daemon.containers.create(
            self.images("gateway"),
            ["haproxy", "-W", "-db", "-f", "/run/berth/session-key", "-f", "/run/berth/haproxy.cfg"],
            name=f"berth-{self.stack}-gateway",
            user="1001:1001",
            mem_limit="256m",
            ports={"8000/tcp": ("127.0.0.1", None)},
            volumes={str(self.folder): {"bind": "/run/gateway", "mode": "rw"}},
            **{**hardened, "read_only": False},
        )
        self.containers.append(made)
        upload(made, {f"/run/berth/{name}": text for name, text in files.items()})
        self.network.connect(made, ipv4_address=self.gateway_address)
        made.start()
        made.reload()
        self.port = int(made.attrs["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"])
        wait("the gateway", lambda: self.get("none-such").status_code in (401, 404, 503), (httpx.HTTPError,))
        return made

    def lease(self, name: str, image: str = "lease-echo", **options: Any) -> Container:
        """A lease as the manager makes one."""
        given = {"tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=16m"}, "pids_limit": 64, "mem_limit": "64m", **options}
        made: Container = self.daemon.containers.run(
            self.images(image),
            name=f"berth-{self.stack}-lease-{name}",
            user="1001:1001",
            network=self.network.name,
            nano_cpus=500_000_000,
            **{**hardened, **given},
        )
        self.containers.append(made)
        return made

    def remove(self, container: Container) -> None:
        with contextlib.suppress(NotFound):
            container.remove(force=True, v=True)
        self.containers.remove(container)

    def address(self, container: Container) -> str:
        container.reload()
        found: str = container.attrs["NetworkSettings"]["Networks"][self.network.name]["IPAddress"]
        return found

    def token(self, name: str, lease: str = "l-1", seconds: float = 60, **changes: Any) -> tuple[str, dict[str, Any]]:
        """A session as the manager makes it, and its claims; ``changes``: another key or stack."""
        now = time.time()
        given = {"key": key, "stack": self.stack, "name": name, "lease": lease, "now": now, "until": now + seconds}
        return tickets.make(**{**given, **changes})

    def get(self, name: str, path: str = "/", **options: Any) -> httpx.Response:
        return self.request("GET", name, path, **options)

    def request(self, method: str, name: str, path: str = "/", **options: Any) -> httpx.Response:
        """A request for the lease of that name; ``session``: its token, as a program sends it."""
        headers = {"Host": f"{name}.{domain}", **options.pop("headers", {})}
        if token := options.pop("session", None):
            headers["X-Berth-Session"] = token
        return httpx.request(
            method, f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=10, trust_env=False, **options
        )

    def up(self, name: str) -> None:
        """Waits until it answers."""
        wait(name, lambda: self.get(name, session=self.token(name)[0]).status_code == 200)

    def gone(self, name: str) -> None:
        """Fails unless there is nothing of that name any more, within a second and the time of an answer."""
        time.sleep(0.3)
        wait(name, lambda: self.get(name, session=self.token(name)[0]).status_code == 404, seconds=2)

    def close(self) -> None:
        # The bridge before the rules: these go by themselves when it is gone.
        last = [each for each in self.containers if each.attrs["HostConfig"]["NetworkMode"] == "host"]
        for container in [each for each in self.containers if each not in last]:
            self.remove(container)
        self.network.remove()
        for container in last:
            container.stop(timeout=5)
            self.remove(container)

    @property
    def gateway_address(self) -> str:
        return str(self.subnet[10])

    def _make_network(self) -> Network:
        for _ in range(20):
            self.subnet = IPv4Network(f"10.{151 + secrets.randbelow(50)}.{secrets.randbelow(256)}.0/24")
            ipam = IPAMConfig(
                pool_configs=[
                    IPAMPool(
                        subnet=str(self.subnet), gateway=str(self.subnet[1]), iprange=str(self.subnet[128]) + "/25"
                    )
                ]
            )
            options = {
                "com.docker.network.bridge.enable_icc": "false",
                "com.docker.network.bridge.name": self.interface,
            }
            try:
                return self.daemon.networks.create(
                    f"berth-{self.stack}-leases", ipam=ipam, options=options, labels=labels
                )
            except APIError as error:
                if "overlap" not in str(error):
                    raise
        raise AssertionError("no free subnet for a test network")


def wait(what: str, test: Callable[[], bool], also: tuple[type[Exception], ...] = (), seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(*also):
            if test():
                return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def lease_labs(
    daemon: docker.DockerClient, images: Callable[[str], str], folder: Path, **options: Any
) -> Iterator[Any]:
    """A lab with rules and gateway; removed at the end."""
    made = LeaseLab(daemon, images, folder, **options)
    try:
        made.rules()
        made.gateway()
        yield made
    finally:
        made.close()


__all__ = ["EndpointConfig", "LeaseLab", "domain", "lease_labs", "wait"]
