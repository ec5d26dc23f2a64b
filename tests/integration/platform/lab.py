"""Runs what the components declare on a real daemon, without an engine in between.

A container is taken from its registration (tests/component/recorder.py) and given to Docker property by
property, so that what is tested is what is declared.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import Healthcheck, IPAMConfig, IPAMPool

from bench.upload import upload
from tests.component.recorder import Registered, plain

labels = {"berth.test": "platform"}
_nanoseconds = 1_000_000_000


@dataclass
class Lab:
    """A network of its own, and everything that was made on it, removed by :meth:`close`."""

    daemon: docker.DockerClient
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    containers: list[Container] = field(default_factory=list)
    volumes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.network = self._make_network()

    def start(
        self,
        declared: Registered,
        image: str,
        *,
        files: Mapping[str, str] | None = None,
        envs: Mapping[str, str] | None = None,
        network_mode: str | None = None,
        mount: str | None = None,
        user: str | None = None,
    ) -> Container:
        """Create and start it.  ``files`` and ``envs`` replace those of the same name; ``mount`` names the volume
        that stands for the declared one."""
        given = plain(declared.inputs)
        environment = dict(entry.split("=", 1) for entry in given.get("envs") or [])
        volumes = {}
        for volume in given.get("volumes") or []:
            name = f"berth-test-{self.run}-{mount or declared.name}"
            self.volumes.add(name)
            volumes[name] = {"bind": volume["containerPath"], "mode": "rw"}
        arguments: dict[str, Any] = {
            "name": f"berth-test-{self.run}-{declared.name}-{secrets.token_hex(2)}",
            "labels": labels,
            "command": given.get("command"),
            "environment": {**environment, **(envs or {})},
            "user": user or given["user"],
            "tmpfs": given["tmpfs"],
            "cap_drop": given["capabilities"]["drops"],
            "cap_add": given["capabilities"].get("adds"),
            "security_opt": given["securityOpts"],
            "mem_limit": f"{int(given['memory'])}m",
            "nano_cpus": int(float(given["cpus"]) * _nanoseconds),
            "read_only": given["readOnly"],
            "volumes": volumes,
            "stop_signal": given.get("stopSignal"),
            "detach": True,
        }
        if given.get("entrypoints"):
            arguments["entrypoint"] = given["entrypoints"]
        if given.get("healthcheck"):
            arguments["healthcheck"] = _healthcheck(given["healthcheck"])
        if network_mode:
            arguments["network_mode"] = network_mode
        else:
            arguments["hostname"] = given["hostname"]
            arguments["network_mode"] = "none"
        container = self.daemon.containers.create(image, **arguments)
        self.containers.append(container)
        if not network_mode:
            self.daemon.networks.get("none").disconnect(container)
            self.network.connect(container, aliases=[declared.name])
        uploads = {entry["file"]: entry["content"] for entry in given.get("uploads") or []}
        uploads |= {f"/run/berth/{name}": content for name, content in (files or {}).items()}
        if uploads:
            upload(container, uploads)
        container.start()
        return container

    def run_job(self, declared: Registered, image: str, **options: Any) -> tuple[int, str]:
        """Exit code and log of a job that ran to its end."""
        job = self.start(declared, image, **options)
        code = job.wait(timeout=90)["StatusCode"]
        log = job.logs().decode()
        self.remove(job)
        return code, log

    def address(self, container: Container) -> str:
        """The container's address, which this host reaches through the bridge."""
        container.reload()
        networks = container.attrs["NetworkSettings"]["Networks"]
        address: str = networks[self.network.name]["IPAddress"]
        return address

    @property
    def network_gateway(self) -> str:
        """This host's address on the network."""
        address: str = self.network.attrs["IPAM"]["Config"][0]["Gateway"]
        return address

    def health(self, container: Container) -> str:
        container.reload()
        status: str = container.attrs["State"]["Health"]["Status"]
        return status

    def remove(self, container: Container) -> None:
        container.remove(force=True, v=True)
        self.containers.remove(container)

    def close(self) -> None:
        for container in list(self.containers):
            self.remove(container)
        for volume in self.volumes:
            try:
                self.daemon.volumes.get(volume).remove()
            except NotFound:
                continue  # declared by a container that was never made
        self.network.remove()

    def _make_network(self) -> Network:
        for _ in range(20):
            subnet = IPv4Network(f"10.{101 + secrets.randbelow(50)}.{secrets.randbelow(256)}.0/24")
            ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))])
            try:
                return self.daemon.networks.create(f"berth-test-{self.run}-platform", ipam=ipam, labels=labels)
            except APIError as error:
                if "overlap" not in str(error):
                    raise
        raise AssertionError("no free subnet for a test network")


def eventually(
    what: str, test: Callable[[], bool], seconds: float = 20, also: tuple[type[Exception], ...] = ()
) -> None:
    """Fail unless ``test`` holds within the time; exceptions named by ``also`` mean "not yet"."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            if test():
                return
        except also as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what} ({last})")


def _healthcheck(given: dict[str, Any]) -> Healthcheck:
    def nanoseconds(text: str | None) -> int | None:
        return int(text.removesuffix("s")) * _nanoseconds if text else None

    return Healthcheck(
        test=given["tests"],
        interval=nanoseconds(given.get("interval")),
        timeout=nanoseconds(given.get("timeout")),
        retries=int(given["retries"]),
        start_period=nanoseconds(given.get("startPeriod")),
    )
