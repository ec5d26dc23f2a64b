"""The rules as text; that they hold is for the integration tests."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

import pytest

from berth.vpn.errors import CommandFailed, NodeError
from berth.vpn.firewall import Firewall, Policy, render
from berth.vpn.target import parse_target


def policy(*allow: str, sources: tuple[str, ...] = (), subnet6: str = "", gateway_port: int | None = None) -> Policy:
    return Policy(
        interface="wg0",
        subnet=IPv4Network("10.77.0.0/16"),
        address="10.77.0.1",
        listen_port=51820,
        control_port=8080,
        targets=tuple(parse_target(text) for text in allow),
        sources=tuple(IPv4Network(text) for text in sources),
        subnet6=IPv6Network(subnet6) if subnet6 else None,
        address6="fd77::1" if subnet6 else "",
        gateway_port=gateway_port,
    )


def chain(text: str, name: str) -> list[str]:
    lines = text.split(f"chain {name} {{\n")[1].split("  }\n")[0]
    return [line.strip() for line in lines.splitlines()]


@pytest.mark.parametrize(
    ("allow", "rule"),
    [
        ("10.0.0.1", "ip daddr 10.0.0.1/32 accept"),
        ("10.0.0.1/tcp", "ip daddr 10.0.0.1/32 meta l4proto tcp accept"),
        ("10.0.0.0/24:53/udp", "ip daddr 10.0.0.0/24 udp dport 53 accept"),
        ("10.0.0.1:80-90/tcp", "ip daddr 10.0.0.1/32 tcp dport 80-90 accept"),
        ("10.0.0.1/icmp", "ip daddr 10.0.0.1/32 icmp type echo-request accept"),
    ],
)
def test_each_target_is_one_rule_for_what_comes_out_of_the_tunnel(allow: str, rule: str) -> None:
    assert chain(render(policy(allow), []), "forward")[-1] == f'iifname "wg0" oifname != "wg0" {rule}'


@pytest.mark.parametrize(
    ("allow", "rule"),
    [
        ("[fd00::5]:8081/tcp", "ip6 daddr fd00::5/128 tcp dport 8081 accept"),
        ("[fd00::/64]", "ip6 daddr fd00::/64 accept"),
        ("[fd00::5]/icmp", "ip6 daddr fd00::5/128 icmpv6 type echo-request accept"),
    ],
)
def test_targets_in_ipv6_are_rules_where_the_tunnel_carries_it(allow: str, rule: str) -> None:
    assert chain(render(policy(allow, subnet6="fd77::/64"), []), "forward")[-1].endswith(rule)
    assert "ip6" not in render(policy(allow), [])


def test_sources_are_held_to_the_tunnel_in_both_families() -> None:
    rules = chain(render(policy(subnet6="fd77::/64"), []), "prerouting")
    for family, subnet, address in (("ip", "10.77.0.0/16", "10.77.0.1"), ("ip6", "fd77::/64", "fd77::1")):
        assert f'iifname "wg0" {family} saddr != {subnet} drop' in rules
        assert f'iifname "wg0" {family} saddr {address} drop' in rules
        assert f'iifname != {{ "lo", "wg0" }} {family} saddr {subnet} drop' in rules
    assert not [rule for rule in rules if "nfproto" in rule]
    # Without IPv6 addresses nothing of it comes out of the tunnel.
    assert 'iifname "wg0" meta nfproto != ipv4 drop' in chain(render(policy(), []), "prerouting")


@pytest.mark.parametrize("allow", ["169.254.169.254:80/tcp", "127.0.0.1", "[fe80::1]", "[::1]:80/tcp", "224.0.0.1"])
def test_loopback_and_links_are_no_targets(allow: str) -> None:
    with pytest.raises(ValueError, match="never let through"):
        parse_target(allow)
    assert "169.254.0.0/16" in render(policy("0.0.0.0/0"), [])


def test_peers_reach_the_gateway_at_the_nodes_own_addresses_where_there_is_one() -> None:
    assert not [rule for rule in chain(render(policy(subnet6="fd77::/64"), []), "input") if "dport 80 " in rule]
    rules = chain(render(policy(subnet6="fd77::/64", gateway_port=80), []), "input")
    drop = rules.index('iifname "wg0" drop')
    for own in ("ip daddr 10.77.0.1", "ip6 daddr fd77::1"):
        assert f'iifname "wg0" {own} tcp dport 80 accept' in rules[:drop]
    assert not [rule for rule in rules[drop:] if "dport 80 " in rule]


def test_without_targets_peers_reach_nothing() -> None:
    forward = chain(render(policy(), []), "forward")
    assert forward[0].endswith("policy drop;")
    assert [rule for rule in forward if rule.endswith("accept")] == ["ct state established,related accept"]


def test_peers_are_kept_apart_before_anything_is_accepted() -> None:
    forward = chain(render(policy("10.0.0.1"), []), "forward")
    apart = forward.index('iifname "wg0" oifname "wg0" drop')
    assert all(index > apart for index, rule in enumerate(forward) if rule.endswith("accept"))


def test_the_tunnel_may_ping_the_node_and_nothing_else_of_it() -> None:
    rules = chain(render(policy("10.0.0.1"), ["172.30.11.1"]), "input")
    assert rules[0].endswith("policy drop;")
    assert rules[1:4] == [
        'iifname "lo" accept',
        'iifname "wg0" ip daddr 10.77.0.1 icmp type echo-request accept',
        'iifname "wg0" drop',
    ]


def test_the_control_port_is_for_the_host_and_the_sources() -> None:
    rules = chain(render(policy(sources=("172.30.10.10/32",)), ["172.30.11.1"]), "input")
    assert rules[-1] == "ip saddr { 172.30.10.10/32, 172.30.11.1 } tcp dport 8080 accept"
    assert "8080" not in render(policy(), [])


class Nft:
    """nft and ip, as far as a firewall asks them."""

    def __init__(self) -> None:
        self.table = ""
        self.loads = 0

    def __call__(self, command: Sequence[str], stdin: str = "") -> str:
        match list(command):
            case ["ip", "-json", *_]:
                return '[{"dst":"default","gateway":"172.30.11.1","dev":"eth0"}]'
            case ["nft", "-f", "-"]:
                self.table, self.loads = stdin, self.loads + 1
                return ""
            case ["nft", "--stateless", "list", "table", "inet", "berth"]:
                if not self.table:
                    raise CommandFailed("`nft list table` failed: No such file or directory")
                return self.table
        raise AssertionError(command)


def test_rules_changed_by_hand_are_noticed_and_put_back() -> None:
    nft = Nft()
    firewall = Firewall(policy("10.0.0.1"), nft)
    firewall.ensure()
    firewall.ensure()
    assert nft.loads == 1
    assert firewall.check() == "1 targets allowed"
    for table in ("", nft.table.replace("drop", "accept")):
        nft.table = table
        with pytest.raises(NodeError):
            firewall.check()
        firewall.ensure()
        assert firewall.check()
    assert nft.loads == 3
    assert "172.30.11.1" in nft.table
