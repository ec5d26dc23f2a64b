"""Which parts of this stack the gateway watches, in the order in which its status page shows them."""

from __future__ import annotations

from collections.abc import Collection

from components.access_api import port as api_port
from components.mongodb import MongoDB
from components.mongodb import port as mongodb_port
from components.mullvad_proxy import MullvadProxy
from components.mullvad_proxy import http_port as bridge_port
from components.parts import (
    Part,
    access_part,
    bridges_part,
    chain_part,
    gateways_part,
    leases_part,
    mongodb_part,
    nodes_part,
    reaper_part,
    redis_part,
    web_part,
)
from components.redis import port as redis_port
from components.settings import Settings
from components.user_pool import port as leases_port
from components.web import port as web_port
from components.wireguard import WireGuardNode, control_port


def watched(
    settings: Settings, mongodb: MongoDB, nodes: Collection[WireGuardNode], bridges: Collection[MullvadProxy]
) -> list[Part]:
    """The parts; of nodes and bridges there may be none."""
    chain = settings.chain
    parts = [chain_part(chain.node_rpc_url, chain.chain_id), mongodb_part(mongodb.hosts, mongodb_port)]
    if nodes:
        parts.append(nodes_part([node.name for node in nodes], control_port))
    if nodes and settings.leases.enabled:
        parts.append(gateways_part([node.name for node in nodes], control_port))
    if bridges:
        parts.append(bridges_part([bridge.name for bridge in bridges], bridge_port))
    parts.append(access_part(api_port))
    if settings.leases.enabled:
        parts += [redis_part(redis_port), leases_part(leases_port), reaper_part(leases_port)]
    return [*parts, web_part(web_port)]
