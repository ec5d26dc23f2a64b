"""Which network may be made for a lease of several containers, and who may join it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from berth.leases.guard.containers import endpoint, labels
from berth.leases.guard.policy import GuardPolicy
from berth.leases.guard.strict import Json, array, boolean, deny, matching, obj, only, text

_largest: Final = 24  # prefix length


def network(policy: GuardPolicy, given: Json) -> dict[str, Any]:
    """The body to pass on: a bridge of this stack's leases, in a subnet of the pool."""

    def in_pool(written: Json, where: str) -> Json:
        try:
            subnet = IPv4Network(text(40)(written, where))
        except ValueError:
            deny(where, "is not an IPv4 network")
        if not subnet.subnet_of(policy.subnets) or subnet.prefixlen < _largest:
            deny(where, f"must be of /{_largest} or smaller, within {policy.subnets}")
        return str(subnet)

    place = obj({"Subnet": in_pool, "Gateway": _address}, ("Subnet",))
    ipam = obj({"Driver": only("default"), "Config": array(place, 1)}, ("Config",))
    made: dict[str, Any] = obj(
        {
            "Name": matching(policy.network_name, f"{policy.prefix}lease-<name>"),
            "Driver": only("bridge"),
            "CheckDuplicate": boolean,
            "Internal": boolean,
            "Labels": labels(policy, needs_end=False),
            "IPAM": ipam,
        },
        ("Name", "Labels", "IPAM"),
    )(given, "body")
    if not made["IPAM"]["Config"]:
        deny("body.IPAM.Config", "must have a subnet: Docker's own choice would be anywhere")
    (config,) = made["IPAM"]["Config"]
    if "Gateway" in config and IPv4Address(config["Gateway"]) not in IPv4Network(config["Subnet"]):
        deny("body.IPAM.Config.Gateway", "must be in the subnet")
    # Two networks of one name would make it a matter of luck whose a container joins.
    return {**made, "Driver": "bridge", "CheckDuplicate": True}


def _address(given: Json, where: str) -> Json:
    try:
        return str(IPv4Address(text(40)(given, where)))
    except ValueError:
        deny(where, "is not an IPv4 address")


def joining(policy: GuardPolicy, given: Json, shared: bool) -> tuple[str, dict[str, Any]]:
    """The container as the client names it, and its place; ``shared``: on the bridge of all leases."""
    made = obj({"Container": text(128), "EndpointConfig": endpoint}, ("Container",))(given, "body")
    place: dict[str, Any] = made.get("EndpointConfig", {})
    if shared and place.get("Aliases"):
        deny("body.EndpointConfig.Aliases", f"is not allowed on {policy.network}, which all leases share")
    return str(made["Container"]), place


def leaving(given: Json) -> tuple[str, bool]:
    """The container as the client names it, and whether it is made to leave."""
    made = obj({"Container": text(128), "Force": boolean}, ("Container",))(given, "body")
    return str(made["Container"]), bool(made.get("Force", False))
