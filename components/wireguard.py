"""A WireGuard node: its container, its volume, and the access list that it is asked to reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_docker as docker

from berth.access.tunnel import node_address
from berth.chain.accounts import address_of
from components.access import AccessControl
from components.base import Component, Limits, files_directory
from components.chain import Chain
from components.contracts import Contracts
from components.images import Images
from components.network import Network
from components.settings import BridgeSettings, NodeSettings, Settings
from providers.account import Account
from providers.node_allowance import NodeAllowance
from providers.node_identity import NodeIdentity
from providers.node_peers import NodePeers
from providers.secret import GeneratedSecret

wireguard_port: Final = 51820
control_port: Final = 8080
gateway_folder: Final = "/run/gateway"
"""Where a node and its gateway share a socket."""
networks: Final = {31337: "local", 8453: "base", 84532: "base-sepolia", 1: "ethereum"}
"""By chain id, what a node and the access API call a chain that they know."""


@dataclass(frozen=True)
class WireGuardNodeArgs:
    """A node, and what it stands on."""

    node: NodeSettings
    settings: Settings
    network: Network
    images: Images
    chain: Chain
    contracts: Contracts
    list: AccessControl


class WireGuardNode(Component):
    """``berth:access:WireGuardNode``: peers are whom the access list names, and reach what ``access.allow`` names."""

    name: str
    public_key: pulumi.Output[str]
    """Made on the node; the private half never leaves its volume."""
    region: str
    bridges: Sequence[BridgeSettings]
    """The TCP bridges that it announces; each is a component of its own."""
    endpoint: str
    """host:port, as clients reach the node from outside."""
    edge_endpoint: str
    """host:port, as containers on the ``edge`` network reach it."""
    inside_host: str
    """Its name inside alone: its other name means it at the edge as well, where it answers no questions."""
    tunnel_address: str
    """The node's own address in the tunnel."""
    probe_url: str
    """What browsers ask to measure the way here."""
    account: pulumi.Output[str]
    """The account that announces the node; the operator allows it, which ``NodeAllowance`` does where it can."""
    control_url: str
    control_token: pulumi.Output[str]
    node_image: pulumi.Output[str]
    """Id of the image; it has all that a client needs as well."""
    gateway_sockets: docker.Volume | None
    """In memory: where the node offers its gateway what that needs; none in a stack without leases."""

    def __init__(self, name: str, args: WireGuardNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:access:WireGuardNode", name, opts)
        node = args.node
        self.name, self.region, self.bridges = node.name, node.region, node.bridges
        self.endpoint = node.endpoint or f"{node.bind}:{node.listen_port}"
        self.edge_endpoint = f"{node.name}:{wireguard_port}"
        self.inside_host = f"{node.name}.inside"
        self.tunnel_address = node_address(args.settings.access.tunnel_subnet)
        self.control_url = f"http://127.0.0.1:{node.control_port}"
        self.control_token = GeneratedSecret(f"{node.name}-control", "token", self.child()).value
        self.node_image = args.images.make("wireguard", on_service=True)
        self.probe_url = node.probe_url or f"{args.settings.gateway.url}nodes/{node.name}/ping"
        self.gateway_sockets = (
            self.volume(f"{node.name}-gateway", sockets_of="0:0") if args.settings.leases.enabled else None
        )
        key = self._account_key(node)
        self.account = key.apply(address_of)
        container = self._container(args, key)
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
            digest=args.list.digest,
            block=args.list.block,
            opts=self.child(depends_on=[container]),
        )
        self.register_outputs(self.outputs())

        self._allow(args)

    def _account_key(self, node: NodeSettings) -> pulumi.Output[str]:
        if node.account_key is not None:
            return pulumi.Output.secret(node.account_key.get_secret_value())
        return GeneratedSecret(f"{node.name}-account", "account", self.child()).value

    def _allow(self, args: WireGuardNodeArgs) -> None:
        """The node's account on the operator's allow-list, and with funds; says what a person still has to do."""
        name, chain_id, registry = args.node.name, args.settings.chain.chain_id, args.contracts.node_registry
        address = pulumi.Output.unsecret(self.account)
        after = self.child(depends_on=[registry])
        account = Account(f"{name}-account", address=address, chain_id=chain_id, opts=after)
        allowance = NodeAllowance(
            f"{name}-allowance",
            node=name,
            account=address,
            registry=registry.address,
            chain_id=chain_id,
            opts=self.child(depends_on=[registry, account]),
        )

        def advise(known: list[Any]) -> None:
            account, allowed, funded, registry = known
            if not allowed:
                pulumi.log.warn(
                    f"{name} is not on the allow-list: the owner of NodeRegistry {registry} has to call "
                    f'allow("{name}", {account}); until then it is offered to nobody',
                    self,
                )
            if not funded:
                pulumi.log.warn(f"{name} cannot announce itself: its account {account} has no funds for it", self)

        pulumi.Output.all(address, allowance.allowed, account.funded, registry.address).apply(advise)

    def outputs(self) -> dict[str, pulumi.Input[Any]]:
        """What the stack shows of a node; the token stays secret."""
        return {
            "publicKey": self.public_key,
            "endpoint": self.endpoint,
            "edgeEndpoint": self.edge_endpoint,
            "tunnelAddress": self.tunnel_address,
            "region": self.region,
            "account": pulumi.Output.unsecret(self.account),
            "controlUrl": self.control_url,
            "controlToken": self.control_token,
            "image": self.node_image,
        }

    def _environment(self, args: WireGuardNodeArgs) -> dict[str, pulumi.Input[str]]:
        """Settings of ``berth.vpn``; what is left out has its default there."""
        node, access, chain, network = args.node, args.settings.access, args.settings.chain, args.network
        given: dict[str, pulumi.Input[str] | None] = {
            "NODE_ID": node.name,
            "NETWORK": networks.get(chain.chain_id),
            "CHAIN_ID": str(chain.chain_id),
            "RPC_URLS": args.chain.node_rpc_urls,
            "WS_URLS": ",".join(chain.ws_urls) or None,
            "QUORUM": str(chain.quorum),
            "FINALITY": chain.finality,
            "REMOVAL_FINALITY": chain.removal_finality,
            "KEY_REGISTRY": args.contracts.key_registry.address,
            "NODE_REGISTRY": args.contracts.node_registry.address,
            "CONTRACT_PRIVATE_KEY_FILE": f"{files_directory}/account-key",
            "ENDPOINT": self.endpoint,
            "REGION": node.region,
            "BRIDGES": ",".join(bridge.announced for bridge in node.bridges) or None,
            "AUTO_SYNC": "true" if access.mode == "follow" else "false",
            "SYNC_INTERVAL": str(access.sync_seconds * 1000),
            "MAX_STALE": str(access.max_stale_seconds),
            "OUTAGE_POLICY": access.outage_policy,
            "BREAKER_SHARE": str(access.breaker.share),
            "BREAKER_AT_LEAST": str(access.breaker.at_least),
            "BREAKER_WAIT": str(access.breaker.wait_seconds),
            "TUNNEL_SUBNET": str(access.tunnel_subnet),
            "TUNNEL_SUBNET6": str(access.tunnel_subnet6) if access.tunnel_subnet6 else None,
            "MTU": str(access.mtu),
            "LISTEN_PORT": str(wireguard_port),
            "CONTROL_PORT": str(control_port),
            # Besides the host: the gateway shows the node's health, the access API who is connected, and its bridges
            # send clients elsewhere when it is not well.  Not all of inside, or a client that may reach another node
            # by `allow` could call its control API.
            "CONTROL_SOURCES": ",".join(
                [
                    network.gateway_address,
                    network.access_address,
                    *(network.bridge_addresses[bridge.name] for bridge in node.bridges),
                ]
            ),
            "CONTROL_TOKEN_FILE": f"{files_directory}/control-token",
            "ALLOW": ",".join(network.targets(access.allow)),
            "GATEWAY_SOCKET": f"{gateway_folder}/node.sock" if self.gateway_sockets else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _container(self, args: WireGuardNodeArgs, account_key: pulumi.Output[str]) -> docker.Container:
        node = args.node
        sysctls = {"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "1"}
        if args.settings.leases.enabled:
            # Its gateway's port at the tunnel address, for an agent that has NET_ADMIN and nothing else.
            sysctls["net.ipv4.ip_unprivileged_port_start"] = "0"
        if args.settings.access.tunnel_subnet6 is not None:
            # Docker turns IPv6 off in a network namespace without an IPv6 network.
            sysctls |= {f"net.ipv6.conf.{which}.disable_ipv6": "0" for which in ("all", "default")}
            sysctls["net.ipv6.conf.all.forwarding"] = "1"
        return self.container(
            node.name,
            image=self.node_image,
            limits=Limits(memory=node.memory),
            networks=[args.network.attach_inside(self.inside_host), args.network.attach_edge()],
            envs=self._environment(args),
            files={"control-token": self.control_token, "account-key": account_key},
            volumes={
                "/var/lib/berth": self.volume(node.name),
                **({gateway_folder: self.gateway_sockets} if self.gateway_sockets else {}),
            },
            # Root, because commands of the node (wg, nft, ip) have NET_ADMIN only so.
            user="0:0",
            add_capabilities=["CAP_NET_ADMIN"],
            devices=[
                docker.ContainerDeviceArgs(host_path="/dev/net/tun", container_path="/dev/net/tun", permissions="rwm")
            ],
            # Strict reverse path: what claims an address of another interface is dropped before any rule.
            sysctls=sysctls,
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
