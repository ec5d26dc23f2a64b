"""The chain that holds the passes: a local Anvil with its state on a volume, or somebody else's by URL."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from components.base import Component, Limits
from components.images import Images
from components.network import Network
from components.settings import ChainSettings, derived


class Chain(Component):
    """``berth:access:Chain``.  Its URLs are known once the chain answers (``local``), or at once (``external``)."""

    rpc_url: pulumi.Output[str]
    """As this machine reaches it."""
    node_rpc_url: pulumi.Output[str]
    """As containers inside reach it."""
    node_rpc_urls: pulumi.Output[str]
    """Every endpoint as containers reach it, separated by commas."""

    def __init__(
        self,
        name: str,
        settings: ChainSettings,
        network: Network,
        images: Images,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("berth:access:Chain", name, opts)
        if settings.mode == "local":
            container = self._anvil(settings, network, images)
            # Through the container's id, so that contracts and nodes wait until it is healthy.
            self.rpc_url = container.id.apply(lambda _: settings.rpc_url)
            self.node_rpc_url = container.id.apply(lambda _: settings.node_rpc_url)
            self.node_rpc_urls = container.id.apply(lambda _: ",".join(settings.node_rpc_urls))
        else:
            # The URLs of paid endpoints carry a key.
            self.rpc_url = derived("chain", settings.rpc_url)
            self.node_rpc_url = derived("chain", settings.node_rpc_url)
            self.node_rpc_urls = derived("chain", ",".join(settings.node_rpc_urls))
        self.register_outputs({"rpcUrl": self.rpc_url, "nodeRpcUrl": self.node_rpc_url})

    def _anvil(self, settings: ChainSettings, network: Network, images: Images) -> docker.Container:
        return self.container(
            "chain",
            image=images.make("chain"),
            limits=Limits(memory=512),
            networks=[network.attach_inside()],
            command=[
                *("--chain-id", str(settings.chain_id)),
                # What a kill may lose, and what old blocks need to be readable after a restart.
                *("--state-interval", "5", "--preserve-historical-states"),
            ],
            volumes={"/data": self.volume("chain")},
            ports=[docker.ContainerPortArgs(internal=8545, external=settings.rpc_port, ip="127.0.0.1")],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "/usr/local/bin/healthcheck", hex(settings.chain_id)],
                interval="2s",
                timeout="5s",
                retries=15,
            ),
            wait=True,
            wait_timeout=60,
            # Anvil saves its state when it is asked to stop.
            destroy_grace_seconds=30,
        )
