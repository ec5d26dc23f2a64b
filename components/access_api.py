"""The access API: signs holders in, and registers their keys with transactions that a relay account pays for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_docker as docker

from berth.access.tunnel import Subnets, node_address
from berth.chain.accounts import address_of
from components.base import Component, Limits, files_directory
from components.chain import Chain
from components.contracts import Contracts
from components.images import Images
from components.mullvad_proxy import http_port as bridge_port
from components.network import Network
from components.settings import AccessSettings, Settings
from components.wireguard import WireGuardNode, control_port, networks
from providers.account import Account
from providers.secret import GeneratedSecret

port: Final = 8080
_chains: Final = {8453: "Base", 84532: "Base Sepolia", 1: "Ethereum"}


@dataclass(frozen=True)
class AccessApiArgs:
    """What the API stands on."""

    settings: Settings
    network: Network
    images: Images
    chain: Chain
    contracts: Contracts
    nodes: Sequence[WireGuardNode]


class AccessApi(Component):
    """``berth:access:AccessApi``: at a fixed address inside, because nodes answer it and not everybody."""

    relay: pulumi.Output[str]
    """The address of the account that pays."""
    session_key: pulumi.Output[str]
    """Secret: what sessions are signed with; who else knows it believes the same sessions."""

    def __init__(self, name: str, args: AccessApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:access:AccessApi", name, opts)
        relay_key = self._relay_key(args.settings.access)
        self.relay = pulumi.Output.unsecret(relay_key.apply(address_of))
        self.session_key = GeneratedSecret("access-session", "token", self.child()).value
        account = Account(
            "relay",
            address=self.relay,
            chain_id=args.settings.chain.chain_id,
            opts=self.child(depends_on=[args.contracts.key_registry]),
        )
        pulumi.Output.all(self.relay, account.funded).apply(self._advise)
        self.container(
            "access",
            image=args.images.make("access", on_service=True),
            limits=Limits(memory=256),
            networks=[args.network.attach_inside(address=args.network.access_address)],
            envs=self._environment(args),
            files={
                "relay-key": relay_key,
                "session-key": self.session_key,
            },
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "http-healthcheck", str(port)], interval="2s", timeout="5s", retries=15
            ),
            wait=True,
            wait_timeout=60,
            options=pulumi.ResourceOptions(depends_on=[account]),
        )
        self.register_outputs({"relay": self.relay})

    def _relay_key(self, access: AccessSettings) -> pulumi.Output[str]:
        if access.relay.key is not None:
            return pulumi.Output.secret(access.relay.key.get_secret_value())
        return GeneratedSecret("relay-account", "account", self.child()).value

    def _advise(self, known: list[object]) -> None:
        address, funded = known
        if not funded:
            pulumi.log.warn(
                f"the relay {address} has no funds, so holders cannot register from the Connect page: send it some",
                self,
            )

    def _environment(self, args: AccessApiArgs) -> dict[str, pulumi.Input[str]]:
        """Settings of ``berth.access.api``; what is left out has its default there."""
        access, chain, gateway = args.settings.access, args.settings.chain, args.settings.gateway
        network = networks.get(chain.chain_id)
        here = f"{pulumi.get_project()} {pulumi.get_stack()}"
        name = here if chain.mode == "local" else _chains.get(chain.chain_id, f"chain {chain.chain_id}")
        given: dict[str, pulumi.Input[str] | None] = {
            "PORT": str(port),
            "PUBLIC_URL": gateway.url.rstrip("/"),
            "ORIGINS": ",".join(gateway.origins) or None,
            # Whose X-Forwarded-For is believed.
            "GATEWAY_ADDRESS": args.network.gateway_address,
            "NETWORK": network,
            "CHAIN_ID": str(chain.chain_id),
            "CHAIN_NAME": name,
            "RPC_URLS": args.chain.node_rpc_urls,
            "QUORUM": str(chain.quorum),
            "FINALITY": chain.finality,
            "KEY_REGISTRY": args.contracts.key_registry.address,
            "NODE_REGISTRY": args.contracts.node_registry.address,
            "FROM_BLOCK": str(chain.first_block),
            "NODES": json.dumps(
                [
                    {
                        "id": node.name,
                        "url": f"http://{node.name}:{control_port}",
                        "probeUrl": node.probe_url,
                        "bridges": [
                            {"endpoint": bridge.announced, "url": f"http://{bridge.name}:{bridge_port}"}
                            for bridge in node.bridges
                        ],
                    }
                    for node in args.nodes
                ],
                separators=(",", ":"),
            ),
            "TUNNEL_SUBNET": str(access.tunnel_subnet),
            "TUNNEL_SUBNET6": str(access.tunnel_subnet6) if access.tunnel_subnet6 else None,
            "MTU": str(access.mtu),
            "DNS": ",".join(access.dns) or None,
            "ALLOWED_IPS": ",".join(routes(access, args.network)),
            "RELAY_PRIVATE_KEY_FILE": f"{files_directory}/relay-key",
            "SESSION_KEY_FILE": f"{files_directory}/session-key",
            "RELAY_PER_MINUTE": str(access.relay.per_minute),
            "RELAY_MAX_GAS": str(access.relay.max_gas),
        }
        return {name: value for name, value in given.items() if value is not None}


def routes(access: AccessSettings, network: Network) -> tuple[str, ...]:
    """What clients send into the tunnel, as CIDR blocks: the node itself, and what it lets them reach."""
    targets = [target.rpartition("/")[0].partition(":")[0] for target in network.targets(access.allow)]
    node = node_address(access.tunnel_subnet)
    blocks = list(Subnets(access.tunnel_subnet, access.tunnel_subnet6).allowed(node))
    blocks += [target if "/" in target else f"{target}/32" for target in targets]
    return tuple(dict.fromkeys(blocks))
