"""A node's environment: every problem at once, secrets from files, and nothing secret in messages."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from berth.kit.settings import SettingsError
from berth.vpn.settings import NodeSettings, Target, parse_target

good = {
    "NODE_ID": "node-1",
    "RPC_URL": "http://chain:8545",
    "KEY_REGISTRY": "0x5fbdb2315678afecb367f032d93f642f64180aa3",
    "CHAIN_ID": "31337",
    "CONTROL_TOKEN": "0123456789abcdef",
}


def load(**changes: str) -> NodeSettings:
    return NodeSettings.load("WireGuard node", {**good, **changes})


def test_defaults_and_what_follows_from_them() -> None:
    settings = load(ALLOW="172.30.10.10:8081/tcp, 172.30.12.0/24", CONTROL_SOURCES="172.30.10.10, 10.0.0.0/8")
    assert settings.address == "10.77.0.1"
    assert (settings.listen_port, settings.control_port, settings.mtu) == (51820, 8080, 1420)
    assert settings.key_registry == "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    assert settings.targets == (
        Target(IPv4Network("172.30.10.10"), "tcp", (8081, 8081)),
        Target(IPv4Network("172.30.12.0/24")),
    )
    assert settings.sources == (IPv4Network("172.30.10.10"), IPv4Network("10.0.0.0/8"))


def test_the_token_comes_from_a_file_without_its_newline(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("fedcba9876543210\n")
    settings = load(CONTROL_TOKEN="", CONTROL_TOKEN_FILE=str(path))
    assert settings.control_token.get_secret_value() == "fedcba9876543210"
    assert "fedcba" not in repr(settings)


def test_one_message_lists_every_problem() -> None:
    with pytest.raises(SettingsError) as refused:
        NodeSettings.load(
            "WireGuard node",
            {
                "NODE_ID": "Node 1",
                "RPC_URL": "chain:8545",
                "KEY_REGISTRY": "0x12",
                "CHAIN_ID": "zero",
                "CONTROL_TOKEN_FILE": "/nowhere/token",
                "TUNNEL_SUBNET": "10.77.0.0/31",
                "LISTEN_PORT": "70000",
                "LOG_LEVEL": "loud",
                "ALLOW": "gateway:80/tcp",
            },
        )
    message = str(refused.value)
    for name in (
        "NODE_ID",
        "RPC_URL",
        "KEY_REGISTRY",
        "CHAIN_ID",
        "TUNNEL_SUBNET",
        "LISTEN_PORT",
        "LOG_LEVEL",
        "ALLOW",
    ):
        assert f"  {name} is '" in message, message
    assert "CONTROL_TOKEN_FILE is /nowhere/token, which cannot be read: No such file or directory" in message
    assert len(refused.value.problems) == 9, refused.value.problems


def test_what_is_missing_is_named() -> None:
    with pytest.raises(SettingsError) as refused:
        NodeSettings.load("WireGuard node", {})
    needed = ("NODE_ID", "KEY_REGISTRY", "CONTROL_TOKEN")
    assert refused.value.problems == [f"{name} is not set (nor {name}_FILE)" for name in needed]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"RPC_URLS": "http://a"}, "RPC_URL and RPC_URLS are both set"),
        ({"RPC_URL": "", "CHAIN_ID": "5"}, "CHAIN_ID is 5, but the endpoints of NETWORK base serve chain 8453"),
        ({"QUORUM": "2"}, "QUORUM is 2, but RPC_URLS names 1"),
        ({"WS_URLS": "ws://a,ws://b"}, "WS_URLS names 2 endpoints and RPC_URLS 1"),
        ({"FINALITY": "safe", "REMOVAL_FINALITY": "finalized"}, "REMOVAL_FINALITY finalized is slower"),
        ({"CONTRACT_PRIVATE_KEY": "0x" + "12" * 32}, "that needs NODE_REGISTRY and ENDPOINT"),
        ({"NETWORK": "mars"}, "must be one of base, base-sepolia, ethereum, local"),
        ({"WIREGUARD_PRIVATE_KEY": "x"}, "WIREGUARD_PRIVATE_KEY: not a WireGuard private key"),
        ({"CONTRACT_PRIVATE_KEY": "0x12"}, "CONTRACT_PRIVATE_KEY: not a private key"),
        ({"LOG_LEVELS": "agent=loud"}, "is not component=level"),
        ({"TUNNEL_SUBNET6": "2001:db8::/64"}, "unique local block"),
        ({"TUNNEL_SUBNET6": "fd00::/48"}, "64 to 112 are allowed"),
        ({"SYNC_INTERVAL": "5"}, "SYNC_INTERVAL is '5'"),
        ({"OUTAGE_POLICY": "panic"}, "OUTAGE_POLICY is 'panic'"),
    ],
)
def test_what_does_not_go_together_is_said(changes: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**changes)
    assert says in str(refused.value)


def test_several_contradictions_are_several_problems() -> None:
    with pytest.raises(SettingsError, match="2 problems") as refused:
        load(QUORUM="3", FINALITY="safe", REMOVAL_FINALITY="finalized")
    assert len(refused.value.problems) == 2


@pytest.mark.parametrize(
    ("network", "chain", "finality", "seconds"),
    [
        ("base", 8453, "latest", 2),
        ("base-sepolia", 84532, "latest", 2),
        ("ethereum", 1, "safe", 12),
        ("local", 31337, "latest", 0),
    ],
)
def test_a_network_gives_what_is_not_set(network: str, chain: int, finality: str, seconds: float) -> None:
    settings = load(NETWORK=network, RPC_URL="", CHAIN_ID="")
    assert (settings.chain, settings.additions_at, settings.removals_at) == (chain, finality, finality)
    assert settings.block_seconds == seconds
    assert len(settings.endpoints) == len(settings.sockets) == 1
    assert settings.sockets[0] == settings.endpoints[0].replace("http", "ws", 1)


def test_the_default_network_is_base() -> None:
    settings = load(RPC_URL="", CHAIN_ID="")
    assert (settings.network, settings.chain, settings.auto_sync, settings.sync_interval) == (
        "base",
        8453,
        True,
        30_000,
    )


def test_what_is_set_stands_above_the_network() -> None:
    settings = load(
        NETWORK="base",
        RPC_URL="",
        RPC_URLS="https://a/x, https://b",
        QUORUM="2",
        CHAIN_ID="8453",
        FINALITY="finalized",
        REMOVAL_FINALITY="latest",
    )
    assert settings.endpoints == ("https://a/x", "https://b")
    assert settings.sockets == ("wss://a/x", "wss://b")
    assert (settings.additions_at, settings.removals_at) == ("finalized", "latest")


def test_of_an_unknown_chain_nothing_is_assumed() -> None:
    settings = load(CHAIN_ID="4242")
    assert (settings.chain, settings.additions_at, settings.block_seconds) == (4242, "latest", 0)


def test_levels_by_component() -> None:
    assert load(LOG_LEVELS="agent=debug, heads=error").levels == {"agent": "debug", "heads": "error"}


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError, match="CONTROL_TOKEN: ") as refused:
        load(CONTROL_TOKEN="tooshort")
    assert "tooshort" not in str(refused.value)


def test_a_value_and_its_file_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("fedcba9876543210")
    with pytest.raises(SettingsError, match="CONTROL_TOKEN and CONTROL_TOKEN_FILE are both set"):
        load(CONTROL_TOKEN_FILE=str(path))


def test_peers_cannot_be_allowed_to_reach_each_other() -> None:
    with pytest.raises(SettingsError, match="peers do not reach each other"):
        load(ALLOW="10.77.0.0/24")
    with pytest.raises(SettingsError, match="peers do not reach each other"):
        load(ALLOW="0.0.0.0/0:80/tcp")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("10.0.0.1", Target(IPv4Network("10.0.0.1"))),
        ("10.0.0.0/8", Target(IPv4Network("10.0.0.0/8"))),
        ("10.0.0.0/8/any", Target(IPv4Network("10.0.0.0/8"))),
        ("10.0.0.1/tcp", Target(IPv4Network("10.0.0.1"), "tcp")),
        ("10.0.0.1/icmp", Target(IPv4Network("10.0.0.1"), "icmp")),
        ("10.0.0.1:53/udp", Target(IPv4Network("10.0.0.1"), "udp", (53, 53))),
        ("10.0.0.0/24:8000-8010/tcp", Target(IPv4Network("10.0.0.0/24"), "tcp", (8000, 8010))),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.1/33",
        "10.0.0.1/24",
        "10.0.0.1:80",
        "10.0.0.1:80/icmp",
        "10.0.0.1:0/tcp",
        "10.0.0.1:65536/tcp",
        "10.0.0.1:20-10/tcp",
        "10.0.0.1/sctp",
        '10.0.0.1/tcp accept; "',
        "fd00::1",
    ],
)
def test_targets_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_target(text)
