"""The gateway of a WireGuard node: leases that only the tunnel reaches, each by its own pass alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_docker as docker

from components.base import Component, Limits
from components.images import Images
from components.lease_network import LeaseNetwork
from components.node_proxy import TunnelFront, render
from components.settings import Settings
from components.wireguard import WireGuardNode, gateway_folder

doors_folder: Final = "/run/doors"
"""Where the gateways of all nodes listen for the manager, and nothing else is."""
_health_port: Final = 8080


@dataclass(frozen=True)
class NodeGatewayArgs:
    """The node that it answers for, the bridge with the leases, and where the manager finds sockets of gateways."""

    node: WireGuardNode
    bridge: LeaseNetwork
    doors: docker.Volume
    settings: Settings
    images: Images


class NodeGateway(Component):
    """``berth:lease:NodeGateway``: HAProxy at the node's tunnel address, in a container on the leases' bridge alone.

    The node hands it the listening sockets, so that it needs no place in the node's network: peers are not routed to
    leases, and leases have no way to the node.
    """

    def __init__(self, name: str, args: NodeGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:lease:NodeGateway", name, opts)
        node, leases = args.node, args.settings.leases
        front = TunnelFront(
            stack=pulumi.get_stack(),
            domain=leases.vpn_domain,
            subnet=leases.subnet,
            ipv6=args.settings.access.tunnel_subnet6 is not None,
        )
        assert node.gateway_sockets is not None, "a stack with leases has nodes that offer sockets"
        self.container(
            name,
            image=args.images.make("node-gateway", on_service=True),
            limits=Limits(memory=160),
            networks=[args.bridge.attach(args.bridge.node_addresses[node.name])],
            files={"haproxy.cfg": render(front)},
            envs={"CLOSE_SOCKET": f"{doors_folder}/{node.name}.sock"},
            volumes={doors_folder: args.doors},
            reads={gateway_folder: node.gateway_sockets},
            tmpfs={
                "/run/haproxy": "rw,noexec,nosuid,nodev,size=32m,mode=700,uid=1001,gid=1001",
                "/tmp": "rw,noexec,nosuid,nodev,size=16m",
            },
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "http-healthcheck", str(_health_port)], interval="2s", timeout="5s", retries=15
            ),
            wait=True,
            wait_timeout=60,
            destroy_grace_seconds=10,
            options=pulumi.ResourceOptions(depends_on=[node]),
        )
        self.register_outputs({"node": node.name})
