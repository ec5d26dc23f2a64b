"""Guards of both roles before the real daemon, a lease's network, and a container that is no lease's."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool
from prometheus_client import CollectorRegistry

from berth.leases.guard.metrics import GuardMetrics
from berth.leases.guard.policy import GuardPolicy
from berth.leases.guard.run import guard
from berth.leases.guard.upstream import Upstream
from tests.unit.leases.guard import world

image = "debian:bookworm-slim"
socket_path = "/var/run/docker.sock"
sleeper = ["sh", "-c", "trap 'exit 0' TERM; while :; do echo line; sleep 0.2; done"]


@dataclass
class Guarded:
    """What the tests speak to: ``manager`` and ``reaper`` are clients, ``*_socket`` where these connect."""

    policy: GuardPolicy
    manager: httpx.Client
    reaper: httpx.Client
    manager_socket: Path
    foreign: str
    network: str
    daemon: docker.DockerClient

    @property
    def labels(self) -> dict[str, str]:
        return {**world.labels(**{"berth.stack": self.policy.stack}), "berth.test": "guard"}

    def name(self, kind: str = "lease") -> str:
        return f"{self.policy.prefix}{kind}-{secrets.token_hex(3)}"

    def body(self, **host: Any) -> dict[str, Any]:
        given = world.body(**{"NetworkMode": self.policy.network, **host})
        return {**given, "Image": image, "Labels": self.labels, "Cmd": sleeper}

    def create(self, name: str, **host: Any) -> str:
        answer = self.manager.post("/v1.41/containers/create", params={"name": name}, json=self.body(**host))
        assert answer.status_code == 201, answer.text
        made: str = answer.json()["Id"]
        return made

    def raw(self, sent: bytes, seconds: float = 10, done: bool = True) -> bytes:
        """What comes back for these bytes until the guard closes; ``done``: the client says that it sends no more."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(str(self.manager_socket))
            connection.sendall(sent)
            if done:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while piece := connection.recv(65536):
                received += piece
            return received


@pytest.fixture(scope="module")
def guarded(daemon: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    stack = f"berth/guard-{secrets.token_hex(3)}"
    prefix = stack.replace("/", "-") + "-"
    pool = IPv4Network(f"10.{160 + secrets.randbelow(40)}.{secrets.randbelow(256)}.0/24")
    folder = tmp_path_factory.mktemp("guard")
    settings = {
        "stack": stack,
        "images": {image: False},
        "network": f"{prefix}leases",
        "subnets": f"10.{200 + secrets.randbelow(40)}.0.0/16",
    }
    ours = {"berth.stack": stack, "berth.test": "guard"}
    ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(pool))])
    network = daemon.networks.create(settings["network"], ipam=ipam, labels=ours)
    # What carries a lease bears the stack's label too, and is no lease's.
    foreign = daemon.containers.create(image, sleeper, name=f"{prefix}mongo-repl-1", labels=ours)
    try:
        with ExitStack() as stay:
            clients = {}
            for role in ("manager", "reaper"):
                path = folder / f"{role}.sock"
                policy = GuardPolicy.model_validate({**settings, "role": role})
                stay.enter_context(guard(policy, Upstream(socket_path), path, GuardMetrics(CollectorRegistry())))
                transport = httpx.HTTPTransport(uds=str(path))
                clients[role] = stay.enter_context(
                    httpx.Client(transport=transport, base_url="http://docker", timeout=30)
                )
            manager_policy = GuardPolicy.model_validate({**settings, "role": "manager"})
            yield Guarded(
                manager_policy, clients["manager"], clients["reaper"], folder / "manager.sock",
                str(foreign.id), str(network.id), daemon,
            )  # fmt: skip
    finally:
        for container in daemon.containers.list(all=True, filters={"label": f"berth.stack={stack}"}):
            container.remove(force=True, v=True)
        for left in daemon.networks.list(filters={"label": f"berth.stack={stack}"}):
            left.remove()


def eventually(what: str, test: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if test():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def message(answer: httpx.Response) -> str:
    """The reason in an error of Docker's form."""
    found: str = json.loads(answer.text)["message"]
    return found


__all__ = ["APIError", "Guarded", "eventually", "image", "message"]
