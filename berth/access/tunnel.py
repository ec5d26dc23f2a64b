"""Slot -> tunnel address: pure, so that all nodes agree on addresses without talking.

Nodes have host number 1 (``10.77.0.1``), slot n has host number n + 1 (slot 1 is ``10.77.0.2``).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from berth.access.errors import SubnetTooSmall

node_host_number = 1


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
