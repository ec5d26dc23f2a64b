"""A WireGuard node: its container, its volume, and the access list that it is asked to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker

from berth.access.tunnel import node_address
from components.base import Component, Limits, files_directory
from components.images import Images
from components.network import Network
from components.settings import AccessSettings, ChainSettings, NodeSettings
from providers.node_identity import NodeIdentity
from providers.node_peers import NodePeers
from providers.secret import GeneratedSecret

wireguard_port = 51820
control_port = 8080


@dataclass(frozen=True)
class WireGuardNodeArgs:
    """What a node needs to know.  ``registry``: address of the KeyRegistry; ``digest``, ``block``: of the list."""

    node: NodeSettings
    access: AccessSettings
    chain: ChainSettings
    network: Network
    images: Images
    rpc_url: pulumi.Input[str]
    registry: pulumi.Input[str]
    digest: pulumi.Input[str]
    block: pulumi.Input[Mapping[str, Any]]


class WireGuardNode(Component):
    """``berth:access:WireGuardNode``: peers are whom the access list names, and reach what ``access.allow`` names."""

    public_key: pulumi.Output[str]
    """Made on the node; the private half never leaves its volume."""
    endpoint: str
    """host:port, as clients reach the node from outside."""
    edge_endpoint: str
    """host:port, as containers on the ``edge`` network reach it."""
    tunnel_address: str
    """The node's own address in the tunnel."""
    control_url: str
    control_token: pulumi.Output[str]
    node_image: pulumi.Output[str]
    """Id of the image; it has all that a client needs as well."""

    def __init__(self, name: str, args: WireGuardNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:access:WireGuardNode", name, opts)
        node = args.node
        self.endpoint = node.endpoint or f"{node.bind}:{node.listen_port}"
        self.edge_endpoint = f"{node.name}:{wireguard_port}"
        self.tunnel_address = node_address(args.access.tunnel_subnet)
        self.control_url = f"http://127.0.0.1:{node.control_port}"
        self.control_token = GeneratedSecret(f"{node.name}-control", "token", self.child()).value
        self.node_image = args.images.make("wireguard", on_service=True)
        container = self._container(args)
        identity = NodeIdentity(
            f"{node.name}-identity",
            node=node.name,
            container=container.id,
            control_url=self.control_url,
            token=self.control_token,
            opts=self.child(depends_on=[container]),
        )
        self.public_key = identity.publicKey
        self.peers = NodePeers(
            f"{node.name}-peers",
            node=node.name,
            container=container.id,
            control_url=self.control_url,
            token=self.control_token,
            digest=args.digest,
            block=args.block,
            opts=self.child(depends_on=[container]),
        )
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, pulumi.Input[Any]]:
        """What the stack shows of a node; the token stays secret."""
        return {
            "publicKey": self.public_key,
            "endpoint": self.endpoint,
            "edgeEndpoint": self.edge_endpoint,
            "tunnelAddress": self.tunnel_address,
            "controlUrl": self.control_url,
            "controlToken": self.control_token,
            "image": self.node_image,
        }

    def _container(self, args: WireGuardNodeArgs) -> docker.Container:
        node = args.node
        return self.container(
            node.name,
            image=self.node_image,
            limits=Limits(memory=256),
            networks=[args.network.attach_inside(), args.network.attach_edge()],
            envs={
                "NODE_ID": node.name,
                "RPC_URL": args.rpc_url,
                "KEY_REGISTRY": args.registry,
                "CHAIN_ID": str(args.chain.chain_id),
                "TUNNEL_SUBNET": str(args.access.tunnel_subnet),
                "LISTEN_PORT": str(wireguard_port),
                "CONTROL_PORT": str(control_port),
                # Besides the host: the gateway shows the node's health.  Not all of inside, or a client that may
                # reach another node by `allow` could call its control API.
                "CONTROL_SOURCES": args.network.gateway_address,
                "CONTROL_TOKEN_FILE": f"{files_directory}/control-token",
                "ALLOW": ",".join(args.network.targets(args.access.allow)),
            },
            files={"control-token": self.control_token},
            volumes={"/var/lib/berth": self.volume(node.name)},
            # Root, because commands of the node (wg, nft, ip) have NET_ADMIN only so.
            user="0:0",
            add_capabilities=["CAP_NET_ADMIN"],
            devices=[
                docker.ContainerDeviceArgs(host_path="/dev/net/tun", container_path="/dev/net/tun", permissions="rwm")
            ],
            # Strict reverse path: what claims an address of another interface is dropped before any rule.
            sysctls={"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "1"},
            tmpfs={
                "/run/wireguard": "rw,noexec,nosuid,nodev,size=1m,mode=700",
                "/tmp": "rw,noexec,nosuid,nodev,size=16m",
            },
            ports=[
                docker.ContainerPortArgs(internal=control_port, external=node.control_port, ip="127.0.0.1"),
                docker.ContainerPortArgs(
                    internal=wireguard_port, external=node.listen_port, ip=node.bind, protocol="udp"
                ),
            ],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "http-healthcheck", str(control_port)],
                interval="1s",
                timeout="5s",
                retries=5,
            ),
            wait=True,
            wait_timeout=60,
            destroy_grace_seconds=10,
        )
