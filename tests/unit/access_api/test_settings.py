"""What the service is told, and what it refuses to start with."""

from __future__ import annotations

import json

import pytest

from berth.access.api.settings import ApiSettings
from berth.kit.settings import SettingsError

given = {
    "CHAIN_ID": "31337",
    "RPC_URLS": "http://chain:8545, http://other:8545",
    "KEY_REGISTRY": "0x" + "11" * 20,
    "NODE_REGISTRY": "0x" + "22" * 20,
    "RELAY_PRIVATE_KEY": "0x" + "33" * 32,
    "SESSION_KEY": "s" * 32,
}


def load(**changes: str) -> ApiSettings:
    return ApiSettings.load("access API", {**given, **changes})


def test_what_is_not_said_has_a_default() -> None:
    settings = load()
    assert settings.endpoints == ["http://chain:8545", "http://other:8545"]
    assert settings.served_at.public == "http://localhost"
    assert "http://127.0.0.1" in settings.served_at.allowed
    assert (settings.port, settings.watched, settings.max_fee) == (8080, {}, 100 * 10**9)
    assert settings.shown()["allowedIps"] == ["10.77.0.0/16"]
    assert settings.shown()["chainName"] == "chain 31337"


def test_everything_can_be_said() -> None:
    nodes = [{"id": "node-1", "url": "http://node-1:8080", "probeUrl": "https://one.example/ping", "region": "x"},
             {"id": "node-2", "url": "http://node-2:8080",
              "bridges": [{"endpoint": "two.example:443", "url": "http://bridge-2:8080"}]}]  # fmt: skip
    settings = load(
        PUBLIC_URL="https://VPN.example/", ORIGINS="http://localhost:8080", GATEWAY_ADDRESS="172.30.10.2",
        NODES=json.dumps(nodes), TUNNEL_SUBNET6="fd77::/64", DNS="10.77.0.1, fd77::1", CHAIN_NAME="berth dev",
        ALLOWED_IPS="10.77.0.1/32", RELAY_LOW_BALANCE="0.5",
    )  # fmt: skip
    assert settings.served_at.public == "https://vpn.example"
    assert {"http://localhost:8080", "http://127.0.0.1:8080"} < settings.served_at.allowed
    assert settings.watched["node-1"].probe_url == "https://one.example/ping"
    assert settings.watched["node-2"].probe_url == "/nodes/node-2/ping"
    assert settings.watched["node-2"].bridges == {"two.example:443": "http://bridge-2:8080"}
    assert settings.low_balance == 5 * 10**17
    assert settings.shown()["dns"] == ["10.77.0.1", "fd77::1"]
    assert settings.shown()["tunnelSubnet6"] == "fd77::/64"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"PUBLIC_URL": "http://vpn.example"}, "PUBLIC_URL is 'http://vpn.example': it needs TLS"),
        ({"ORIGINS": "https://a.example,nonsense"}, "ORIGINS"),
        ({"RPC_URLS": ""}, "RPC_URLS is not set"),
        ({"KEY_REGISTRY": "0x12"}, "KEY_REGISTRY"),
        ({"NODES": "{"}, "not JSON"),
        ({"NODES": "[1]"}, "a JSON list such as"),
        ({"NODES": '[{"id":"a b","url":"http://x"}]'}, "the node id 'a b'"),
        ({"NODES": '[{"id":"a","url":"http://x"},{"id":"a","url":"http://y"}]'}, "there twice"),
        ({"NODES": '[{"id":"a","url":"x"}]'}, "is not an origin"),
        ({"NODES": '[{"id":"a","url":"http://x","bridges":["b:1"]}]'}, "bridges of a is not a list"),
        ({"NODES": '[{"id":"a","url":"http://x","bridges":[{"url":"http://b"}]}]'}, "has no endpoint"),
        ({"TUNNEL_SUBNET6": "2001:db8::/64"}, "unique local"),
        ({"DNS": "one.one.one.one"}, "DNS"),
        ({"SESSION_KEY": "short"}, "SESSION_KEY"),
        ({"RELAY_PRIVATE_KEY": "0x" + "00" * 32}, "RELAY_PRIVATE_KEY"),
        ({"RELAY_MAX_FEE_GWEI": "0"}, "RELAY_MAX_FEE_GWEI"),
        ({"GATEWAY_ADDRESS": "gateway"}, "GATEWAY_ADDRESS"),
    ],
)
def test_what_it_does_not_start_with(changes: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        load(**changes)
    assert says in str(wrong.value)
    assert len(wrong.value.problems) == 1
