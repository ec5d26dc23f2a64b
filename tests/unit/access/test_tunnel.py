"""Slots and addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.access.errors import SubnetTooSmall
from berth.access.tunnel import Subnets, address_of, check_subnet6, node_address, slots

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


both = Subnets(default, IPv6Network("fd77::/64"))


@pytest.mark.parametrize(
    ("address", "address6"), [("10.77.0.1", "fd77::1"), ("10.77.0.2", "fd77::2"), ("10.77.255.254", "fd77::fffe")]
)
def test_an_ipv6_address_has_the_number_of_the_ipv4_address(address: str, address6: str) -> None:
    assert both.address6(address) == address6
    assert both.allowed(address) == (f"{address}/32", f"{address6}/128")


def test_without_a_block_or_outside_the_tunnel_there_is_no_ipv6_address() -> None:
    assert Subnets(default).allowed("10.77.0.2") == ("10.77.0.2/32",)
    assert both.allowed("10.78.0.2") == ("10.78.0.2/32",)


@given(st.integers(1, slots(default)), st.integers(1, slots(default)))
def test_every_slot_has_an_ipv6_address_of_its_own(one: int, two: int) -> None:
    first, second = (both.address6(address_of(default, slot)) for slot in (one, two))
    assert both.ipv6 is not None
    assert IPv6Address(first) in both.ipv6
    assert (first == second) == (one == two)


@pytest.mark.parametrize(
    ("subnet6", "says"),
    [
        ("2001:db8::/64", "not a unique local block"),
        ("fd77::/48", "64 to 112"),
        ("fd77::/120", "64 to 112"),
        ("fe80::/64", "not a unique local block"),
    ],
)
def test_a_block_that_will_not_do_is_refused(subnet6: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_subnet6(default, IPv6Network(subnet6))


def test_a_block_has_room_for_every_ipv4_address() -> None:
    check_subnet6(default, IPv6Network("fd77::/112"))
    with pytest.raises(ValueError, match="smaller than"):
        check_subnet6(IPv4Network("10.0.0.0/8"), IPv6Network("fd77::/112"))
