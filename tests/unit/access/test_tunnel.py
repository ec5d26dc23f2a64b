"""Slots and addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.access.errors import SubnetTooSmall
from berth.access.tunnel import address_of, node_address, slots

default = IPv4Network("10.77.0.0/16")
small = IPv4Network("10.77.0.0/24")


@pytest.mark.parametrize(
    ("subnet", "slot", "address"),
    [
        (default, 1, "10.77.0.2"),
        (default, 254, "10.77.0.255"),
        (default, 255, "10.77.1.0"),
        (small, 253, "10.77.0.254"),
    ],
)
def test_addresses(subnet: IPv4Network, slot: int, address: str) -> None:
    assert address_of(subnet, slot) == address


@pytest.mark.parametrize(("subnet", "slot"), [(default, 0), (default, 65534), (small, 254), (small, 2**32 - 1)])
def test_slots_outside_are_refused(subnet: IPv4Network, slot: int) -> None:
    with pytest.raises(SubnetTooSmall, match=rf"slot {slot} .* slots 1 to {slots(subnet)}"):
        address_of(subnet, slot)


@given(st.integers(1, slots(small)), st.integers(1, slots(small)))
def test_every_slot_has_an_address_of_its_own(one: int, two: int) -> None:
    address = IPv4Address(address_of(small, one))
    assert address in small
    assert address not in (small.network_address, small.broadcast_address, IPv4Address(node_address(small)))
    assert (address_of(small, two) == str(address)) == (one == two)
