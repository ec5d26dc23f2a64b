"""The two bridges: everything of ours is inside, clients meet WireGuard nodes at the edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Final
from zlib import crc32

import pulumi
import pulumi_docker as docker

from components.base import Attachment, Component
from components.settings import NetworkSettings, bridge_places

# Host numbers of what must be known by address.  Docker hands out addresses from the upper half of each
# subnet only, so that whoever starts first never takes one of these.
_router_host: Final = 1
_gateway_host: Final = 10
_access_host: Final = 11


class Network(Component):
    """``berth:platform:Network``: bridges ``inside`` and ``edge``."""

    inside: docker.Network
    edge: docker.Network
    gateway_address: str
    """The gateway's fixed address inside: peers reach the members' page there."""
    router_address: str
    """This host's, as containers inside see it."""
    access_address: str
    """The access API's: nodes answer it, and not everybody inside."""
    bridge_addresses: Mapping[str, str]
    """The TCP bridges', by name: each bridge's node answers it."""

    def __init__(
        self,
        name: str,
        settings: NetworkSettings,
        bridges: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("berth:platform:Network", name, opts)
        self.inside = self._bridge("inside", settings.inside_subnet)
        self.edge = self._bridge("edge", settings.edge_subnet)
        self.gateway_address = str(settings.inside_subnet[_gateway_host])
        self.router_address = str(settings.inside_subnet[_router_host])
        self.access_address = str(settings.inside_subnet[_access_host])
        self.bridge_addresses = _places(bridges, settings.inside_subnet)
        self.register_outputs({"inside": self.inside.name, "edge": self.edge.name})

    def attach_inside(self, *aliases: str, address: str | None = None) -> Attachment:
        """A container's place inside."""
        return Attachment(self.inside.name, aliases, address)

    def attach_edge(self, *aliases: str, address: str | None = None) -> Attachment:
        """A container's place at the edge."""
        return Attachment(self.edge.name, aliases, address)

    def targets(self, allow: tuple[str, ...]) -> tuple[str, ...]:
        """``access.allow`` with the name ``gateway`` replaced by its address."""
        return tuple(
            self.gateway_address + target.removeprefix("gateway") if target.startswith("gateway") else target
            for target in allow
        )

    def _bridge(self, name: str, subnet: IPv4Network) -> docker.Network:
        router: IPv4Address = subnet[_router_host]
        upper_half = list(subnet.subnets(prefixlen_diff=1))[1]
        labels = self.labels(docker.Network, name)
        return docker.Network(
            name,
            name=self.docker_name(name),
            driver="bridge",
            ipam_configs=[
                docker.NetworkIpamConfigArgs(subnet=str(subnet), gateway=str(router), ip_range=str(upper_half))
            ],
            labels=[docker.NetworkLabelArgs(label=key, value=value) for key, value in labels.items()],
            opts=self.child(delete_before_replace=True),
        )


def _places(names: Sequence[str], subnet: IPv4Network) -> dict[str, str]:
    """An address for each name, by its hash: one that comes or goes leaves the others where they are.

    (Where two would have the same, the one that is named later takes the next.)
    """
    places = bridge_places(subnet)
    found: dict[str, str] = {}
    taken: set[int] = set()
    for name in names:
        start = crc32(name.encode())
        place = next(host for step in range(len(places)) if (host := places[(start + step) % len(places)]) not in taken)
        taken.add(place)
        found[name] = str(subnet[place])
    return found
