"""Settings of a bridge, and what becomes of them in the program's arguments."""

from __future__ import annotations

import pytest

from berth.kit.settings import SettingsError
from berth.tunnel.program import command
from berth.tunnel.settings import BridgeSettings

SERVER = {"BRIDGE_END": "tcp2udp", "UDP_FORWARD": "node-1:51820"}
CLIENT = {"BRIDGE_END": "udp2tcp", "TCP_FORWARD": "a=one.example:51840, b=[fd00::2]:51840"}


def load(**variables: str) -> BridgeSettings:
    return BridgeSettings.load("TCP bridge", variables)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "BRIDGE_END is not set"),
        ({"BRIDGE_END": "both"}, "BRIDGE_END is 'both'"),
        ({"BRIDGE_END": "tcp2udp"}, "UDP_FORWARD is not set"),
        ({**SERVER, "UDP_FORWARD": "node-1"}, "UDP_FORWARD is 'node-1': not host:port"),
        ({**SERVER, "UDP_FORWARD": "node-1:0"}, "UDP_FORWARD is 'node-1:0'"),
        ({**SERVER, "TCP_LISTEN": "0.0.0.0:70000"}, "TCP_LISTEN is '0.0.0.0:70000'"),
        ({**SERVER, "ALLOW_TARGETS": "10.0.0.0/8"}, "'10.0.0.0/8' is not host:port, address:port or block:port"),
        ({**SERVER, "UDP_BIND": "eth0"}, "UDP_BIND is 'eth0'"),
        ({**SERVER, "MAX_CONNECTIONS": "0"}, "MAX_CONNECTIONS is '0'"),
        ({**SERVER, "QUEUE_BYTES": "10"}, "QUEUE_BYTES is '10'"),
        ({**SERVER, "NODE_URL": "node-1:8080"}, "NODE_URL is 'node-1:8080'"),
        ({"BRIDGE_END": "udp2tcp"}, "TCP_FORWARD, ENDPOINTS_FILE and NODE_REGISTRY are not set"),
        ({**CLIENT, "ENDPOINTS_FILE": "/list.json"}, "the file is the whole list"),
        ({**CLIENT, "TCP_FORWARD": "a b=one.example:1"}, "is not host:port or node=host:port"),
        ({**CLIENT, "NODE_REGISTRY": "0x12"}, "NODE_REGISTRY is '0x12'"),
        ({**CLIENT, "NODE_REGISTRY": "0x" + "11" * 20, "CHAIN_ID": "5"}, "set RPC_URLS"),
        ({**CLIENT, "NODE_REGISTRY": "0x" + "11" * 20, "QUORUM": "2"}, "so many cannot agree"),
        ({**CLIENT, "RPC_URLS": "ftp://x"}, "RPC_URLS is 'ftp://x'"),
        ({**CLIENT, "NUDGE": "node.example:9"}, "NUDGE is 'node.example:9'"),
    ],
)
def test_wrong_settings_are_named(variables: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**variables)
    assert told in str(refused.value)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load(BRIDGE_END="tcp2udp", UDP_FORWARD="x", MAX_CONNECTIONS="-1", FRAME_TIMEOUT="soon")
    assert len(refused.value.problems) == 3


def test_a_server_end() -> None:
    arguments = command(
        load(**SERVER, TCP_LISTEN="0.0.0.0:1,[::]:2", ALLOW_TARGETS="10.0.0.0/24:51820,node-1:*", FWMARK="51820")
    )
    assert arguments[1] == "tcp2udp"
    assert [one for one in arguments if one.startswith("--tcp-listen")] == [
        "--tcp-listen=0.0.0.0:1",
        "--tcp-listen=[::]:2",
    ]
    assert [one for one in arguments if one.startswith("--allow-target")] == [
        "--allow-target=10.0.0.0/24:51820",
        "--allow-target=node-1:*",
    ]
    assert {"--udp-forward=node-1:51820", "--fwmark=51820", "--nodelay=true", "--redact=true"} <= {*arguments}
    assert "--closed" not in arguments


def test_a_server_end_that_knows_its_node_lets_nobody_in_before_it_was_well() -> None:
    assert "--closed" in command(load(**SERVER, NODE_URL="http://node-1:8080/"))


def test_addresses_of_endpoints_are_in_no_argument() -> None:
    arguments = command(load(**CLIENT))
    assert arguments[1] == "udp2tcp"
    assert not [one for one in arguments if "example" in one or "fd00" in one]


def test_who_is_nudged() -> None:
    arguments = command(load(**CLIENT, NUDGE="10.77.0.1:9, [fd00:77::1]:9"))
    assert [one for one in arguments if one.startswith("--nudge")] == [
        "--nudge=10.77.0.1:9",
        "--nudge=[fd00:77::1]:9",
    ]


@pytest.mark.parametrize(
    ("variable", "flag"), [("", None), ("0", "--tcp-recv-timeout=0.0"), ("7", "--tcp-recv-timeout=7.0")]
)
def test_the_receive_timeout_is_the_programs_own_where_none_is_set(variable: str, flag: str | None) -> None:
    found = [one for one in command(load(**SERVER, TCP_RECV_TIMEOUT=variable)) if one.startswith("--tcp-recv")]
    assert found == ([flag] if flag else [])
