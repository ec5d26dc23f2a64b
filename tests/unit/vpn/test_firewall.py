"""The rules as text; that they hold is for the integration tests."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network

import pytest

from berth.vpn.errors import CommandFailed, NodeError
from berth.vpn.firewall import Firewall, Policy, render
from berth.vpn.settings import parse_target


def policy(*allow: str, sources: tuple[str, ...] = ()) -> Policy:
    return Policy(
        interface="wg0",
        subnet=IPv4Network("10.77.0.0/16"),
        address="10.77.0.1",
        listen_port=51820,
        control_port=8080,
        targets=tuple(parse_target(text) for text in allow),
        sources=tuple(IPv4Network(text) for text in sources),
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
