"""A filtered Docker proxy: the only way to Docker for the one service that has its socket."""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_docker as docker

from berth.leases.guard.policy import GuardPolicy
from components.base import Component, Limits
from components.images import Images

folder: Final = "/run/docker-guard"
"""Where guard and client find the socket."""
docker_host: Final = f"unix://{folder}/docker.sock"

_socket: Final = "/var/run/docker.sock"
_port: Final = 8080


class DockerGuard(Component):
    """``berth:lease:DockerGuard``: holds Docker's socket, passes on what its policy allows, and has no network."""

    volume_of_socket: docker.Volume
    container_of_guard: docker.Container

    def __init__(
        self,
        name: str,
        policy: pulumi.Output[GuardPolicy],
        images: Images,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("berth:lease:DockerGuard", name, opts)
        # The folder is the guard's: its client uses the socket, and cannot put another one in its place.
        self.volume_of_socket = self.volume(name, sockets_of="0:0")
        self.container_of_guard = self.container(
            name,
            image=images.make("leases", on_service=True),
            command=["python", "-m", "berth.leases.guard"],
            limits=Limits(memory=192),
            # Root without a capability: as the owner of Docker's socket it may open it, and can do no more than that.
            user="0:0",
            network_mode="none",
            envs={"GUARD_POLICY": policy.apply(GuardPolicy.model_dump_json), "PORT": str(_port)},
            volumes={folder: self.volume_of_socket},
            mounts=[docker.ContainerMountArgs(type="bind", source=_socket, target=_socket)],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "http-healthcheck", str(_port)], interval="2s", timeout="5s", retries=15
            ),
            wait=True,
            wait_timeout=60,
        )
        self.register_outputs({})
