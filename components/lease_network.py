"""The bridge between gateways and leases, and the packet filter that keeps leases to themselves."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Final
from zlib import crc32

import pulumi
import pulumi_docker as docker

from components.base import Attachment, Component, Limits
from components.images import Images
from components.settings import LeaseSettings

_router_host: Final = 1
_gateway_host: Final = 10
_first_node_host: Final = 20


class LeaseNetwork(Component):
    """``berth:lease:LeaseNetwork``: a bridge on which containers reach nothing, and rules that let gateways in."""

    name: pulumi.Output[str]
    gateway_address: str
    """The public gateway's fixed address on the bridge."""
    node_addresses: dict[str, str]
    """Those of the nodes' own gateways, by node."""

    def __init__(
        self,
        name: str,
        settings: LeaseSettings,
        nodes: Sequence[str],
        images: Images,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("berth:lease:LeaseNetwork", name, opts)
        subnet = settings.subnet
        self.gateway_address = str(subnet[_gateway_host])
        self.node_addresses = {node: str(subnet[_first_node_host + number]) for number, node in enumerate(nodes)}
        # Interfaces have at most 15 characters.
        mark = f"{crc32(self.docker_name('leases').encode()):08x}"
        interface = f"bl-{mark}"
        rules = self.container(
            "leases-rules",
            image=images.make("lease-rules"),
            limits=Limits(memory=64),
            user="0:0",
            network_mode="host",
            add_capabilities=["CAP_NET_ADMIN"],
            envs={
                "CHAIN": f"BERTH-{mark}",
                "BRIDGE": interface,
                "SHARED": str(subnet),
                "GATEWAYS": ",".join([self.gateway_address, *self.node_addresses.values()]),
                "POOL": str(settings.subnets),
            },
            tmpfs={
                "/tmp": "rw,noexec,nosuid,nodev,size=1m",
                "/run": "rw,noexec,nosuid,nodev,size=1m",
            },
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "/usr/local/bin/rules", "check"], interval="5s", timeout="5s", retries=3
            ),
            wait=True,
            wait_timeout=60,
            destroy_grace_seconds=10,
        )
        # After the rules, so that there is no moment without them; and it is gone before they go.
        network = self._network(subnet, interface, rules)
        self.name = network.name
        self.register_outputs({"name": self.name})

    def attach(self, address: str) -> Attachment:
        """The place of a gateway."""
        return Attachment(self.name, address=address)

    def _network(self, subnet: IPv4Network, interface: str, rules: docker.Container) -> docker.Network:
        labels = self.labels(docker.Network, "leases")
        upper_half = list(subnet.subnets(prefixlen_diff=1))[1]
        return docker.Network(
            "leases",
            name=self.docker_name("leases"),
            driver="bridge",
            options={
                "com.docker.network.bridge.enable_icc": "false",
                "com.docker.network.bridge.name": interface,
            },
            ipam_configs=[
                docker.NetworkIpamConfigArgs(
                    subnet=str(subnet), gateway=str(subnet[_router_host]), ip_range=str(upper_half)
                )
            ],
            labels=[docker.NetworkLabelArgs(label=key, value=value) for key, value in labels.items()],
            opts=self.child(delete_before_replace=True, depends_on=[rules]),
        )
