"""The web page, served as it was built: static files, and nothing that knows a secret."""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_docker as docker

from components.base import Component, Limits
from components.images import Images
from components.network import Network

port: Final = 8080


class Web(Component):
    """``berth:platform:Web``: the page behind the gateway."""

    def __init__(self, name: str, network: Network, images: Images, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:platform:Web", name, opts)
        self.container(
            "web",
            image=images.make("web"),
            limits=Limits(memory=64),
            networks=[network.attach_inside()],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "/usr/local/bin/healthcheck"], interval="2s", timeout="3s", retries=5
            ),
            wait=True,
            wait_timeout=30,
        )
        self.register_outputs({})
