"""Slot -> tunnel address: pure, so that all nodes agree on addresses without talking.

Nodes have host number 1 (``10.77.0.1``), slot n has host number n + 1 (slot 1 is ``10.77.0.2``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from berth.access.errors import SubnetTooSmall

node_host_number = 1
unique_local: Final = IPv6Network("fc00::/7")


def slots(subnet: IPv4Network) -> int:
    """How many slots the subnet has: all but its own, the nodes' and the broadcast address."""
    return subnet.num_addresses - 3


def address_of(subnet: IPv4Network, slot: int) -> str:
    """The tunnel address of a slot (from 1); SubnetTooSmall when the subnet has no such slot."""
    if not 1 <= slot <= slots(subnet):
        raise SubnetTooSmall(
            f"slot {slot} has no address in {subnet}, which has slots 1 to {slots(subnet)}: "
            "set a larger berth:access.tunnelSubnet, or reclaim slots of passes that lapsed"
        )
    return str(IPv4Address(int(subnet.network_address) + node_host_number + slot))


def node_address(subnet: IPv4Network) -> str:
    """The tunnel address of a node, which is the same on every node."""
    return str(subnet.network_address + node_host_number)


def check_subnet6(subnet: IPv4Network, subnet6: IPv6Network) -> None:
    """ValueError unless each address of ``subnet`` has one in ``subnet6``, a private /64 to /112 (RFC 4193)."""
    if not subnet6.subnet_of(unique_local):
        raise ValueError(f"{subnet6} is not a unique local block: one of {unique_local} such as fd77::/64 is allowed")
    if not 64 <= subnet6.prefixlen <= 112:
        raise ValueError(f"{subnet6} has a prefix of {subnet6.prefixlen} bits, 64 to 112 are allowed")
    if subnet6.num_addresses < subnet.num_addresses:
        raise ValueError(f"{subnet6} is smaller than {subnet}: each tunnel address needs one in both")


@dataclass(frozen=True)
class Subnets:
    """The tunnel's blocks: IPv4, and IPv6 where peers have both kinds of address.

    The IPv6 address has the IPv4 address' number within its block (``10.77.0.2`` in ``10.77.0.0/16`` with
    ``fd77::/64`` is ``fd77::2``), so lists and digests need hold only one of the two.
    """

    ipv4: IPv4Network
    ipv6: IPv6Network | None = None
    # Read-back compares every peer with what its address stands for: ten thousand at once.
    _allowed: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def address6(self, address: str) -> str:
        """The IPv6 address of a tunnel address; "" where the tunnel has none, or ``address`` is not the tunnel's."""
        number = int(IPv4Address(address)) - int(self.ipv4.network_address)
        if self.ipv6 is None or not 0 <= number < self.ipv4.num_addresses:
            return ""
        return str(IPv6Address(int(self.ipv6.network_address) + number))

    def allowed(self, address: str) -> tuple[str, ...]:
        """The allowed IPs of the peer with this tunnel address."""
        known = self._allowed.get(address)
        if known is None:
            second = self.address6(address)
            known = (f"{address}/32", f"{second}/128") if second else (f"{address}/32",)
            if IPv4Address(address) in self.ipv4:
                self._allowed[address] = known
        return known
