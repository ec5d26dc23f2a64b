"""The stack: settings in, components out, in the order of the planes."""

import pulumi

from components.access import AccessControl, AccessControlArgs
from components.access_api import AccessApi, AccessApiArgs
from components.chain import Chain
from components.contracts import Contracts, ContractsArgs
from components.gateway import Gateway
from components.images import Images
from components.mongodb import MongoDB
from components.mullvad_proxy import MullvadProxy, MullvadProxyArgs
from components.network import Network
from components.settings import load
from components.user_pool import user_pool
from components.watched import watched
from components.web import Web
from components.wireguard import WireGuardNode, WireGuardNodeArgs

settings = load()

network = Network("network", settings.network, settings.bridge_names)
images = Images("images", settings.images)
mongodb = MongoDB("mongodb", settings.mongodb, network, images)

chain = Chain("chain", settings.chain, network, images)
contracts = Contracts("contracts", ContractsArgs(settings.chain, settings.access, after=[chain]))
access = AccessControl("access", AccessControlArgs(settings.chain, settings.access, contracts.key_registry))
nodes = {
    node.name: WireGuardNode(node.name, WireGuardNodeArgs(node, settings, network, images, chain, contracts, access))
    for node in settings.access.nodes
}
bridges = [
    MullvadProxy(bridge.name, MullvadProxyArgs(bridge, node, network, images))
    for node in nodes.values()
    for bridge in node.bridges
]

api = AccessApi("access-api", AccessApiArgs(settings, network, images, chain, contracts, list(nodes.values())))
web = Web("web", network, images)
pool = user_pool(settings, network, images, chain, contracts, mongodb, api, nodes.values())

parts = watched(settings, mongodb, nodes.values(), bridges)
gateway = Gateway("gateway", settings.gateway, parts, nodes.values(), network, images, pool)

pulumi.export("url", gateway.url)
pulumi.export("membersUrl", gateway.members_url)
pulumi.export("rpcUrl", chain.rpc_url)
pulumi.export("chainId", settings.chain.chain_id)
pulumi.export("accessMode", settings.access.mode)
pulumi.export("tunnelSubnet", str(settings.access.tunnel_subnet))
pulumi.export("mongodbUri", mongodb.uri)
pulumi.export("accessPass", contracts.access_pass.address)
pulumi.export("keyRegistry", contracts.key_registry.address)
pulumi.export("nodeRegistry", contracts.node_registry.address)
pulumi.export("accessList", {"digest": access.digest, "block": access.block, "count": access.count})
pulumi.export("relay", api.relay)
pulumi.export("nodes", {name: node.outputs() for name, node in nodes.items()})
pulumi.export("bridges", {bridge.name: bridge.outputs() for bridge in bridges})
