"""Leases: who makes them, who ends them whatever happens, and the guards that stand between them and Docker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_docker as docker

from berth.leases.guard.policy import GuardPolicy, Role
from components.access_api import AccessApi
from components.access_api import port as access_port
from components.base import Component, Limits, files_directory, service_user
from components.chain import Chain
from components.contracts import Contracts
from components.docker_guard import DockerGuard, docker_host, folder
from components.images import Images, official_gateway_user
from components.lease_network import LeaseNetwork
from components.lease_settings import own_images
from components.mongodb import MongoDB
from components.network import Network
from components.node_gateway import NodeGateway, NodeGatewayArgs, doors_folder
from components.redis import Redis
from components.settings import LeaseSettings, Settings, derived
from components.wireguard import WireGuardNode
from providers.lease_containers import LeaseContainers
from providers.secret import GeneratedSecret

port: Final = 8080
runtime_folder: Final = "/run/gateway"
"""Where manager and gateway share HAProxy's runtime socket."""
_pool_hours: Final = 12


@dataclass(frozen=True)
class UserPoolArgs:
    """What leases stand on."""

    settings: Settings
    network: Network
    images: Images
    chain: Chain
    contracts: Contracts
    mongodb: MongoDB
    access: AccessApi
    nodes: Collection[WireGuardNode]


class UserPool(Component):
    """``berth:lease:UserPool``: the manager behind the gateway, the reaper, a guard for each, and the bridge."""

    settings: LeaseSettings
    bridge: LeaseNetwork
    session_key: pulumi.Output[str]
    """Secret: the manager signs sessions with it, the gateway checks them."""
    admin_token: pulumi.Output[str]
    """Secret: who has it may see and do everything."""
    runtime: docker.Volume
    """In memory: HAProxy's runtime socket, for the manager."""

    def __init__(self, name: str, args: UserPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:lease:UserPool", name, opts)
        leases, images = args.settings.leases, args.images
        self.settings, self._images = leases, images
        within = self.child()
        self.session_key = GeneratedSecret("lease-session", "token", within).value
        self.admin_token = GeneratedSecret("lease-admin", "token", within).value
        redis = Redis("redis", args.settings.redis, args.network, images)
        self.bridge = LeaseNetwork("lease-network", leases, [node.name for node in args.nodes], images)
        doors = self.volume("gateway-doors", sockets_of=service_user)
        for node in args.nodes:
            NodeGateway(f"{node.name}-gateway", NodeGatewayArgs(node, self.bridge, doors, args.settings, images))
        # Whatever still runs when the stack goes: the bridge cannot be removed with something on it.
        remains = LeaseContainers("lease-containers", f"berth/{pulumi.get_stack()}", self.bridge.name, within)
        self.runtime = self.volume(
            "gateway-runtime", sockets_of=service_user if images.is_local("gateway") else official_gateway_user
        )

        made = {
            image: images.make(image) if image in own_images else self.image(f"lease-image-{number}", image, "")
            for number, image in enumerate(leases.images)
        }
        pulled = pulumi.Output.all(**made)
        journal = self.volume("lease-journal")
        after = pulumi.ResourceOptions(depends_on=[remains])
        uri = {"mongodb-uri-secret": args.mongodb.uri}

        guard = self._guard("leases-guard", Role.manager, leases, pulled)
        self.container(
            "leases",
            image=images.make("leases", on_service=True),
            limits=Limits(memory=512),
            networks=[args.network.attach_inside()],
            envs={**self._shared(), **self._environment(args)},
            files={
                **uri,
                "redis-url-secret": redis.url,
                "session-key": self.session_key,
                "admin-token": self.admin_token,
                "access-session-key": args.access.session_key,
                "leases.json": derived(
                    "leases",
                    pulled.apply(lambda ids: leases.catalogue(ids).model_dump_json(by_alias=True, exclude_none=True)),
                ),
            },
            volumes={"/var/lib/berth": journal, folder: guard.volume_of_socket, runtime_folder: self.runtime},
            reads={doors_folder: doors},
            healthcheck=_healthy(),
            wait=True,
            wait_timeout=90,
            options=pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=[guard.container_of_guard])),
        )

        guard = self._guard("reaper-guard", Role.reaper, leases, pulled)
        self.container(
            "reaper",
            image=images.make("leases", on_service=True),
            command=["python", "-m", "berth.leases.reaper"],
            limits=Limits(memory=192),
            networks=[args.network.attach_inside()],
            envs=self._shared(),
            files=uri,
            volumes={folder: guard.volume_of_socket},
            reads={"/var/lib/berth": journal},
            healthcheck=_healthy(),
            wait=True,
            wait_timeout=90,
            options=pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=[guard.container_of_guard])),
        )
        self.register_outputs({})

    def _guard(
        self, name: str, role: Role, leases: LeaseSettings, images: pulumi.Output[dict[str, str]]
    ) -> DockerGuard:
        def policy(parts: Mapping[str, Any]) -> GuardPolicy:
            return guard_policy(leases, f"berth/{pulumi.get_stack()}", parts["network"], role, parts["images"])

        known = pulumi.Output.all(network=self.bridge.name, images=images)
        return DockerGuard(name, known.apply(policy), self._images)

    def _shared(self) -> dict[str, pulumi.Input[str]]:
        return {
            "STACK": pulumi.get_stack(),
            "PORT": str(port),
            "DOCKER_HOST": docker_host,
            "MONGODB_URI_FILE": f"{files_directory}/mongodb-uri-secret",
            "JOURNAL_DIR": "/var/lib/berth",
        }

    def _environment(self, args: UserPoolArgs) -> dict[str, pulumi.Input[str]]:
        """Settings of ``berth.leases``; what is left out has its default there."""
        leases, chain, gateway = args.settings.leases, args.settings.chain, args.settings.gateway
        given: dict[str, pulumi.Input[str] | None] = {
            "LEASES_FILE": f"{files_directory}/leases.json",
            "REDIS_URL_FILE": f"{files_directory}/redis-url-secret",
            "SESSION_KEY_FILE": f"{files_directory}/session-key",
            "ADMIN_TOKEN_FILE": f"{files_directory}/admin-token",
            "LEASE_ACCESS": leases.access,
            "LEASE_DOMAIN": leases.domain,
            "LEASE_VPN_DOMAIN": leases.vpn_domain,
            "LEASE_NETWORK": self.bridge.name,
            "PUBLIC_URL": gateway.url.rstrip("/"),
            "ORIGINS": ",".join(gateway.origins) or None,
            "GATEWAY_ADDRESS": args.network.gateway_address,
            "GATEWAY_SOCKET": f"{runtime_folder}/haproxy.sock",
            "NODE_GATEWAYS": doors_folder,
            "MAX_CONTAINERS": str(leases.max_containers),
            "MAX_PER_USER": str(leases.max_per_user),
            "CONTAINER_LIFETIME_HOURS": str(leases.lifetime_hours),
            "CLEANUP_INTERVAL_MINUTES": str(leases.cleanup_minutes),
            "MIN_DURATION_MINUTES": str(leases.min_minutes),
            "MAX_DURATION_MINUTES": str(leases.max_minutes),
            "POOL_HOURS": str(_pool_hours),
            "WARN_SECONDS": ",".join(map(str, leases.warn_seconds)) or None,
            "KEEP_MINUTES": str(leases.keep_minutes),
            "ACCESS_SESSION_KEY_FILE": f"{files_directory}/access-session-key",
            "ACCESS_URL": f"http://{args.network.access_address}:{access_port}",
            "CHAIN_ID": str(chain.chain_id),
            "RPC_URLS": args.chain.node_rpc_urls,
            "QUORUM": str(chain.quorum),
            "KEY_REGISTRY": args.contracts.key_registry.address,
        }
        return {name: value for name, value in given.items() if value is not None}


def user_pool(*args: Any) -> UserPool | None:
    """The pool on what :class:`UserPoolArgs` names, in its order, unless the settings want none."""
    given = UserPoolArgs(*args)
    return UserPool("leases", given) if given.settings.leases.enabled else None


def guard_policy(leases: LeaseSettings, stack: str, network: str, role: Role, images: Mapping[str, str]) -> GuardPolicy:
    """What a guard lets through: the most that any container of the scenarios needs, and no more."""
    templates = [each for scenario in leases.scenarios.values() for each in scenario.containers.values()]
    writable: dict[str, bool] = {}
    for each in templates:
        writable[images[each.image]] = writable.get(images[each.image], False) or not each.read_only
    longest = max(leases.lifetime_hours, leases.max_minutes / 60)
    return GuardPolicy(
        role=role,
        stack=stack,
        images=writable,
        network=network,
        subnets=leases.subnets,
        memory=max(each.limits.memory_mib for each in templates),
        cpus=max(each.limits.cpus for each in templates),
        pids=max(each.limits.pids for each in templates),
        tmpfs=max([each.limits.shm_mib for each in templates] + [size for t in templates for size in t.tmpfs.values()]),
        log=max(each.limits.log_mib for each in templates),
        # Paused, a lease may be there for twice its longest life; a member of the pool waits before that.
        life=round(3600 * (2 * longest + _pool_hours + 1)),
    )


def _healthy() -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", "http-healthcheck", str(port)], interval="2s", timeout="5s", retries=20
    )
