"""What may pass a node, by nftables in the node's own network namespace.

Peers reach the allowed targets and, by ping, the node's tunnel address; not each other, not the node's services.
Everything a node does not have to answer is dropped.  Only the table ``berth`` is ours: Docker keeps its own
rules (for its DNS) in the same namespace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from berth.vpn.command import Runner
from berth.vpn.errors import NodeError
from berth.vpn.target import Target, never

table = "inet berth"


@dataclass(frozen=True)
class Policy:
    """``subnet``, ``subnet6``: the tunnel's (no IPv6 without the latter); ``address``, ``address6``: the node's there.

    ``sources``: who may call ``control_port`` (never through the tunnel).
    """

    interface: str
    subnet: IPv4Network
    address: str
    listen_port: int
    control_port: int
    targets: tuple[Target, ...]
    sources: tuple[IPv4Network, ...]
    subnet6: IPv6Network | None = None
    address6: str = ""
    gateway_port: int | None = None
    """Where the node's gateway answers peers, at the node's own addresses; nothing does without."""


def render(policy: Policy, gateways: Iterable[str]) -> str:
    """The rules as one nft transaction: the old table goes and the new one comes at once, with no gap between."""
    tunnel = f'iifname "{policy.interface}"'
    # A target of a family that the tunnel does not carry would be a rule that nothing ever meets.
    targets = [target for target in policy.targets if policy.subnet6 or target.network.version == 4]
    chains = {
        "prerouting": _prerouting(policy),
        "input": _input(policy, sorted({*gateways, *map(str, policy.sources)})),
        "forward": [
            "type filter hook forward priority 0; policy drop;",
            # Before anything is accepted: replies between peers are no better than requests.
            f'{tunnel} oifname "{policy.interface}" drop',
            # Paths inside have a larger MTU than the tunnel, and path MTU discovery is often filtered.
            "tcp flags syn tcp option maxseg size set rt mtu",
            "ct state established,related accept",
            *(f'{tunnel} oifname != "{policy.interface}" {_match(target)} accept' for target in targets),
        ],
        "postrouting": [
            "type nat hook postrouting priority 100; policy accept;",
            # Machines inside need no route to the tunnel.
            *(f'oifname != "{policy.interface}" {source} masquerade' for source in _from_tunnel(policy)),
        ],
    }
    lines = [f"table {table}", f"delete table {table}", f"table {table} {{"]
    for name, rules in chains.items():
        lines += [f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"]
    return "\n".join([*lines, "}"]) + "\n"


def _from_tunnel(policy: Policy) -> list[str]:
    return [f"ip saddr {policy.subnet}", *([f"ip6 saddr {policy.subnet6}"] if policy.subnet6 else [])]


def _prerouting(policy: Policy) -> list[str]:
    """Before routing and before connections are known, so that no established flow lets a forged packet in."""
    tunnel = f'iifname "{policy.interface}"'
    elsewhere = f'iifname != {{ "lo", "{policy.interface}" }}'
    families = [("ip", policy.subnet, policy.address)]
    if policy.subnet6:
        families.append(("ip6", policy.subnet6, policy.address6))  # type: ignore[arg-type]  # the same for both
    rules = ["type filter hook prerouting priority -300; policy accept;"]
    for family, subnet, address in families:
        closed = ", ".join(str(one) for one in never if one.version == subnet.version)
        rules += [
            f"{tunnel} {family} saddr != {subnet} drop",
            f"{tunnel} {family} saddr {address} drop",
            f"{tunnel} {family} daddr {{ {closed} }} drop",
        ]
    if not policy.subnet6:
        rules.append(f"{tunnel} meta nfproto != ipv4 drop")
    for family, subnet, _ in families:
        # The tunnel's addresses live in the tunnel only; replies to masqueraded packets are not theirs yet here.
        rules += [f"{elsewhere} {family} saddr {subnet} drop", f"{elsewhere} {family} daddr {subnet} drop"]
    return rules


def _input(policy: Policy, control: Sequence[str]) -> list[str]:
    tunnel = f'iifname "{policy.interface}"'
    own, others = [f"{tunnel} ip daddr {policy.address}"], list[str]()
    ping = [f"{own[0]} icmp type echo-request accept"]
    if policy.subnet6:
        own.append(f"{tunnel} ip6 daddr {policy.address6}")
        ping.append(f"{own[1]} icmpv6 type echo-request accept")
        # Without neighbours there is no IPv6 on the other side of the node either.
        others.append("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept")
    if control:
        others.append(f"ip saddr {{ {', '.join(control)} }} tcp dport {policy.control_port} accept")
    return [
        "type filter hook input priority 0; policy drop;",
        'iifname "lo" accept',
        *ping,
        *(f"{each} tcp dport {policy.gateway_port} accept" for each in own if policy.gateway_port),
        f"{tunnel} drop",
        "ct state established,related accept",
        f"udp dport {policy.listen_port} accept",
        "icmp type echo-request accept",
        *others,
    ]


def _match(target: Target) -> str:
    six = isinstance(target.network, IPv6Network)
    where = f"{'ip6' if six else 'ip'} daddr {target.network}"
    if target.protocol == "any":
        return where
    if target.protocol == "icmp":
        return f"{where} {'icmpv6' if six else 'icmp'} type echo-request"
    if target.all_ports:
        return f"{where} meta l4proto {target.protocol}"
    first, last = target.ports
    return f"{where} {target.protocol} dport {first if first == last else f'{first}-{last}'}"


class Firewall:
    """The policy, loaded."""

    def __init__(self, policy: Policy, run: Runner) -> None:
        self._policy, self._run = policy, run
        self._loaded = ""

    def load(self) -> None:
        """Put the rules in force; the rules before stay in force when that fails."""
        self._run(["nft", "-f", "-"], stdin=render(self._policy, self._gateways()))
        self._loaded = self._list()

    def ensure(self) -> None:
        """Load the rules unless they are in force as loaded."""
        try:
            self.check()
        except NodeError:
            self.load()

    def check(self) -> str:
        """NodeError unless the rules in force are those that were loaded."""
        if self._list() != self._loaded or not self._loaded:
            raise NodeError(
                f"the rules of nft table {table} were changed by hand: the next change of the list puts them back"
            )
        return f"{len(self._policy.targets)} targets allowed"

    def _list(self) -> str:
        return self._run(["nft", "--stateless", "list", "table", *table.split()])

    def _gateways(self) -> Sequence[str]:
        """The default gateways: in a container, the host, through which published ports are reached."""
        routes = json.loads(self._run(["ip", "-json", "-4", "route", "show", "default"]) or "[]")
        return [route["gateway"] for route in routes if "gateway" in route]
