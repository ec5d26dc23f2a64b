"""A TCP bridge before a WireGuard node: carries WireGuard for clients whose network blocks UDP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_docker as docker

from components.base import Component, Limits
from components.images import Images
from components.network import Network
from components.settings import BridgeSettings
from components.wireguard import WireGuardNode, control_port, wireguard_port

http_port: Final = 8080
"""Where a bridge tells its health and its statistics, inside."""


@dataclass(frozen=True)
class MullvadProxyArgs:
    """A bridge, the node that it stands before, and what it stands on."""

    bridge: BridgeSettings
    node: WireGuardNode
    network: Network
    images: Images


class MullvadProxy(Component):
    """``berth:access:MullvadProxy``: the ``tcp2udp`` end, in the wire format of Mullvad's udp-over-tcp.

    It forwards to its own node and to nowhere else, and takes no clients while that node is not well, so that they
    move on to another bridge.
    """

    name: str
    endpoint: str
    """host:port, as clients reach the bridge from outside; the node announces it."""
    edge_endpoint: str
    """host:port, as containers on the ``edge`` network reach it."""

    def __init__(self, name: str, args: MullvadProxyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:access:MullvadProxy", name, opts)
        bridge, node = args.bridge, args.node
        self.name, self.node = bridge.name, node.name
        self.endpoint = bridge.announced
        self.edge_endpoint = f"{bridge.name}:{bridge.port}"
        self.container(
            bridge.name,
            image=args.images.make("bridge", on_service=True),
            limits=Limits(memory=bridge.memory),
            # Inside at the address from which the node answers its questions; at the edge for clients there.
            networks=[
                args.network.attach_inside(address=args.network.bridge_addresses[bridge.name]),
                args.network.attach_edge(),
            ],
            envs={
                "BRIDGE_END": "tcp2udp",
                "PORT": str(http_port),
                "TCP_LISTEN": f"0.0.0.0:{bridge.port}",
                "UDP_FORWARD": f"{node.inside_host}:{wireguard_port}",
                "NODE_ID": node.name,
                "NODE_URL": f"http://{node.inside_host}:{control_port}",
                "MAX_CONNECTIONS": str(bridge.max_connections),
                "MAX_PER_ADDRESS": str(bridge.max_per_address),
                "NODELAY": str(bridge.no_delay).lower(),
                "TCP_RECV_TIMEOUT": str(bridge.receive_timeout),
                "TCP_SEND_TIMEOUT": str(bridge.send_timeout),
                "RECV_BUFFER": str(bridge.receive_buffer),
                "SEND_BUFFER": str(bridge.send_buffer),
                "QUEUE_BYTES": str(bridge.queue),
            },
            tmpfs={
                "/run/bridge": "rw,noexec,nosuid,nodev,size=1m,mode=700,uid=1001,gid=1001",
                "/tmp": "rw,noexec,nosuid,nodev,size=16m",
            },
            ports=[
                docker.ContainerPortArgs(internal=bridge.port, external=bridge.port, ip=bridge.bind, protocol="tcp")
            ],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "http-healthcheck", str(http_port)], interval="2s", timeout="5s", retries=15
            ),
            wait=True,
            wait_timeout=60,
            destroy_grace_seconds=10,
            options=pulumi.ResourceOptions(depends_on=[node]),
        )
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, pulumi.Input[Any]]:
        """What the stack shows of a bridge."""
        return {"node": self.node, "endpoint": self.endpoint, "edgeEndpoint": self.edge_endpoint}
