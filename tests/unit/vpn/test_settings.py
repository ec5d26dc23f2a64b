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
    assert len(refused.value.problems) == 9


def test_what_is_missing_is_named() -> None:
    with pytest.raises(SettingsError) as refused:
        NodeSettings.load("WireGuard node", {})
    assert refused.value.problems == [f"{name} is not set (nor {name}_FILE)" for name in good]


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
