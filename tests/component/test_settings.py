"""Settings: what a wrong one is answered with, and what an absent one means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.settings import Settings, SettingsError, parse
from providers.settings import AccessSettings, ChainSettings, anvil_key, load_section
from tests.component.certificates import certificate
from tests.component.recorder import stack_config


def given(**sections: Any) -> dict[str, str]:
    return {f"berth:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in sections.items()}


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_committed_stacks_are_valid(stack: str) -> None:
    parse(stack_config(stack))


def test_defaults_are_a_whole_local_stack() -> None:
    settings = parse({})
    assert settings == Settings.model_validate({})
    assert settings.chain.rpc_url == "http://127.0.0.1:8545"
    assert settings.chain.node_rpc_url == "http://chain:8545"
    assert settings.chain.deployer_key is not None
    assert settings.chain.deployer_key.get_secret_value() == anvil_key
    assert [node.name for node in settings.access.nodes] == ["node-1"]


def test_local_url_follows_the_port() -> None:
    assert parse(given(chain={"rpcPort": 9000})).chain.rpc_url == "http://127.0.0.1:9000"


def test_external_chain_has_no_well_known_key_and_one_url_for_all() -> None:
    chain = parse(given(chain={"mode": "external", "rpcUrl": "https://rpc.example.org/v1"})).chain
    assert chain.deployer_key is None
    assert chain.node_rpc_url == "https://rpc.example.org/v1"


def test_other_namespaces_are_not_ours() -> None:
    parse({"pulumi:tags": "{}", "docker:host": "unix:///var/run/docker.sock"})


wrong: list[tuple[dict[str, Any], list[str]]] = [
    # (what is set, what the message must name: key, value, what is allowed)
    ({"gatway": {}}, ["berth:gatway is not a setting", "did you mean gateway?", "allowed are: access, chain,"]),
    (
        {"gateway": {"htpPort": 80}},
        [
            "berth:gateway.htpPort is not a setting",
            "httpPort",
            "altPort, apiPerMinute, behindProxy, bind, connectionsPerAddress, httpPort",
        ],
    ),
    ({"gateway": {"httpPort": "80"}}, ["berth:gateway.httpPort", '"80"', "whole number from 1 to 65535"]),
    ({"gateway": {"httpPort": 0}}, ["berth:gateway.httpPort", "0", "from 1 to 65535"]),
    ({"gateway": {"bind": "localhost"}}, ["berth:gateway.bind", '"localhost"', "an IPv4 address"]),
    ({"gateway": {"bind": "999.0.0.1"}}, ["berth:gateway.bind", '"999.0.0.1"', "an IPv4 address"]),
    (
        {"gateway": 3},
        [
            "berth:gateway",
            "3",
            "an object with altPort, apiPerMinute, behindProxy, bind, connectionsPerAddress, httpPort",
        ],
    ),
    ({"runtime": "kubernetes"}, ["berth:runtime", '"kubernetes"', "docker"]),
    ({"runtime": "swarm"}, ["berth:runtime", '"swarm"', "docker"]),
    ({"mongodb": {"members": 2}}, ["berth:mongodb.members", "2", "1, 3 or 5"]),
    ({"mongodb": {"members": True}}, ["berth:mongodb.members", "true", "1, 3 or 5"]),
    ({"images": {"mongodb": "mongo:latest"}}, ["berth:images.mongodb", '"mongo:latest"', "by digest"]),
    ({"network": {"insideSubnet": "172.30.10.1/24"}}, ["berth:network.insideSubnet", "172.30.10.1/24", "a private"]),
    ({"network": {"insideSubnet": "8.8.8.0/24"}}, ["berth:network.insideSubnet", "8.8.8.0/24", "a private"]),
    ({"network": {"edgeSubnet": "172.30.11.0/28"}}, ["edgeSubnet", "172.30.11.0/28", "/26 or larger"]),
    (
        {"access": {"tunnelSubnet": "172.30.10.0/24"}},
        ["network.insideSubnet 172.30.10.0/24 overlaps access.tunnelSubnet 172.30.10.0/24"],
    ),
    ({"access": {"tunnelSubnet": "10.77.0.0/29"}}, ["tunnelSubnet", "10.77.0.0/29", "/24 or larger"]),
    ({"access": {"tunnelSubnet": "127.0.0.0/8"}}, ["berth:access.tunnelSubnet", "127.0.0.0/8", "a private"]),
    ({"network": {"edgeSubnet": "169.254.0.0/16"}}, ["berth:network.edgeSubnet", "169.254.0.0/16", "a private"]),
    ({"access": {"nodes": [{"name": "gateway"}]}}, ['access.nodes[0].name is "gateway"', "name it otherwise"]),
    ({"access": {"nodes": [{"name": "mongo-repl-1"}]}}, ['access.nodes[0].name is "mongo-repl-1"']),
    ({"access": {"owner": "0x12"}}, ["berth:access.owner", "0x12", "40 hexadecimal digits"]),
    ({"access": {"passSymbol": "berth!"}}, ["berth:access.passSymbol", "berth!", "capital letters"]),
    ({"access": {"nodes": {}}}, ["berth:access.nodes", "{}", "a list of nodes"]),
    ({"access": {"nodes": [{"nam": "a"}]}}, ["berth:access.nodes[0].name is missing", "berth:access.nodes[0].nam"]),
    ({"access": {"nodes": [{"name": "Node 1"}]}}, ["berth:access.nodes[0].name", "Node 1", "lower-case letters"]),
    (
        {"access": {"nodes": [{"name": "node-1"}, {"name": "node-1", "listenPort": 2, "controlPort": 3}]}},
        ["berth:access", "nodes[].name", "node-1 more than once"],
    ),
    (
        {"access": {"nodes": [{"name": "node-1"}, {"name": "node-2"}]}},
        ["berth:access", "nodes[].listenPort", "51820 more than once"],
    ),
    ({"access": {"nodes": [{"name": "web"}]}}, ['access.nodes[0].name is "web"', "name it otherwise"]),
    ({"access": {"nodes": [{"name": "n1", "endpoint": "a b:1"}]}}, ["access.nodes[0].endpoint", "a b:1", "host:port"]),
    ({"access": {"nodes": [{"name": "n1", "probeUrl": "x"}]}}, ["access.nodes[0].probeUrl", '"x"', "http:// or"]),
    ({"access": {"mode": "sometimes"}}, ["berth:access.mode", "sometimes", "follow or on-up"]),
    ({"access": {"syncSeconds": 0}}, ["berth:access.syncSeconds", "0", "from 1 to 86400"]),
    ({"access": {"syncSeconds": 60, "maxStaleSeconds": 100}}, ["maxStaleSeconds is 100", "syncSeconds 60", "twice"]),
    ({"access": {"outagePolicy": "hope"}}, ["berth:access.outagePolicy", "hope", "fail-closed or keep"]),
    ({"access": {"breaker": {"share": 101}}}, ["berth:access.breaker.share", "101", "percent", "from 1 to 100"]),
    ({"access": {"breaker": {"atLeast": 0}}}, ["berth:access.breaker.atLeast", "0", "peers", "from 1"]),
    ({"access": {"breaker": {"waitSeconds": -1}}}, ["berth:access.breaker.waitSeconds", "-1", "from 0 to 86400"]),
    ({"access": {"breaker": {"shre": 5}}}, ["berth:access.breaker.shre is not a setting", "did you mean share?"]),
    ({"access": {"tunnelSubnet6": "2001:db8::/64"}}, ["berth:access.tunnelSubnet6", "2001:db8::/64", "unique local"]),
    ({"access": {"tunnelSubnet6": "fd00::/48"}}, ["berth:access.tunnelSubnet6", "fd00::/48", "/64 to /112"]),
    (
        {"access": {"tunnelSubnet": "10.64.0.0/12", "tunnelSubnet6": "fd77::/112"}},
        ["tunnelSubnet6 is fd77::/112", "10.64.0.0/12", "/108 or larger"],
    ),
    ({"access": {"mtu": 1200}}, ["berth:access.mtu", "1200", "from 1280 to 9000"]),
    ({"access": {"dns": ["one.one"]}}, ["berth:access.dns[0]", "one.one", "IPv4 or IPv6 address"]),
    ({"access": {"relay": {"perMinute": 0}}}, ["berth:access.relay.perMinute", "0", "from 1 to 10000"]),
    (
        {"access": {"nodes": [{"name": "n1", "accountKey": "0x" + "5" * 64}], "relay": {"key": "0x" + "5" * 64}}},
        ["relay.key is the key of nodes[0].accountKey as well"],
    ),
    (
        {"access": {"nodes": [{"name": "n1", "accountKey": "0x" + "f" * 64}]}},
        ["berth:access.nodes[0].accountKey is [secret]", "a private key"],
    ),
    (
        {"chain": {"mode": "external", "rpcUrl": "http://a"}, "access": {"quarantineSeconds": 60}},
        ["access.quarantineSeconds is 60", "at least 1800"],
    ),
    ({"chain": {"quorum": 2}}, ["berth:chain", "quorum is 2", "1 endpoint is named", "rpcUrls"]),
    ({"chain": {"quorum": 3, "rpcUrls": ["http://a", "http://a"]}}, ["quorum is 3", "2 endpoints are named"]),
    ({"chain": {"rpcUrls": ["a"]}}, ["berth:chain.rpcUrls[0]", '"a"', "http:// or https:// URL"]),
    ({"chain": {"wsUrls": ["http://a"]}}, ["berth:chain.wsUrls[0]", "http://a", "ws:// or wss:// URL"]),
    ({"chain": {"removalFinality": "never"}}, ["berth:chain.removalFinality", "never", "latest, safe or finalized"]),
    ({"chain": {"removalFinality": "safe"}}, ["removalFinality is safe", "later than finality latest", "sooner"]),
    ({"gateway": {"bind": "0.0.0.0"}}, ["berth:gateway", "bind is 0.0.0.0", "tls is missing", "127.0.0.1"]),
    ({"gateway": {"publicUrl": "http://vpn.example.org"}}, ["publicUrl is http://vpn.example.org", "https://"]),
    ({"gateway": {"publicUrl": "https://a.org/x"}}, ["publicUrl is https://a.org/x", "without a path"]),
    ({"gateway": {"behindProxy": True}}, ["berth:gateway", "behindProxy is true", "publicUrl"]),
    ({"gateway": {"tls": {"certificate": "x", "key": "y"}}}, ["berth:gateway.tls.certificate", '"x"', "as PEM"]),
    ({"gateway": {"tls": {"certificate": "x"}}}, ["berth:gateway.tls.key is missing", "a private key as PEM"]),
    ({"access": {"allow": ["everything"]}}, ["berth:access.allow[0]", "everything", "gateway:8081/tcp"]),
    ({"access": {"allow": ["300.1.1.1/tcp"]}}, ["berth:access.allow[0]", "300.1.1.1/tcp", "gateway:8081/tcp"]),
    ({"access": {"allow": ["10.1.2.3:80/any"]}}, ["berth:access.allow[0]", "10.1.2.3:80/any", "gateway:8081/tcp"]),
    ({"chain": {"chainId": 0}}, ["berth:chain.chainId", "0", "a whole number from 1"]),
    ({"chain": {"mode": "remote"}}, ["berth:chain.mode", "remote", "local or external"]),
    ({"chain": {"mode": "external"}}, ["berth:chain", "rpcUrl is missing"]),
    ({"chain": {"finality": "soon"}}, ["berth:chain.finality", "soon", "latest, safe or finalized"]),
    ({"chain": {"rpcUrl": "chain:8545"}}, ["berth:chain.rpcUrl", "chain:8545", "http:// or https:// URL"]),
    ({"chain": "{"}, ["berth:chain cannot be read"]),
    ({"gateway": {"httpPort": 8080}}, ["gateway.altPort is 8080", "gateway.httpPort"]),
    ({"chain": {"rpcPort": 80}}, ["chain.rpcPort is 80", "gateway.httpPort"]),
    ({"mongodb": {"hostPort": 8545}}, ["mongodb.hostPort is 8545", "chain.rpcPort"]),
]


def test_tls_opens_the_gateway_to_the_world() -> None:
    pem, key = certificate()
    open_to_all = {"bind": "0.0.0.0", "tls": {"certificate": pem, "key": key}}
    gateway = parse(given(gateway={**open_to_all, "publicUrl": "https://vpn.example.org"})).gateway
    assert gateway.url == "https://vpn.example.org/"
    assert gateway.tls is not None
    assert gateway.tls.pem.count("-----BEGIN") == 2
    assert key not in repr(gateway)
    with pytest.raises(SettingsError, match="publicUrl is missing"):
        parse(given(gateway=open_to_all))


def test_a_key_that_is_not_the_certificates_is_refused_and_not_shown() -> None:
    (pem, _), (_, other) = certificate(), certificate()
    for key, words in ((other, "key is not the certificate's"), ("not-a-key", "key cannot be read")):
        with pytest.raises(SettingsError, match=words) as caught:
            parse(given(gateway={"tls": {"certificate": pem, "key": key}}))
        assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("gateway", "url", "origins"),
    [
        ({}, "http://localhost/", ("http://localhost:8080",)),
        ({"httpPort": 8081, "altPort": 80}, "http://localhost:8081/", ("http://localhost",)),
        ({"bind": "127.0.0.5", "altPort": 99}, "http://127.0.0.5/", ("http://127.0.0.5:99",)),
        ({"publicUrl": "https://a.org"}, "https://a.org/", ()),
    ],
)
def test_where_people_open_the_page(gateway: dict[str, Any], url: str, origins: tuple[str, ...]) -> None:
    settings = parse(given(gateway=gateway)).gateway
    assert (settings.url, settings.origins) == (url, origins)


def test_further_endpoints_come_after_the_first_and_once() -> None:
    chain = parse(given(chain={"mode": "external", "rpcUrls": ["https://a", "https://b", "https://a"]})).chain
    assert chain.rpc_url == "https://a"
    assert chain.node_rpc_urls == ("https://a", "https://b")
    assert parse({}).chain.node_rpc_urls == ("http://chain:8545",)


@pytest.mark.parametrize(("sections", "named"), wrong, ids=[json.dumps(sections) for sections, _ in wrong])
def test_wrong_setting_is_named_with_value_and_what_is_allowed(sections: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(given(**sections))
    message = str(caught.value)
    for words in named:
        assert words in message


def test_all_problems_come_in_one_message() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(given(runtime="x", gateway={"httpPort": -1, "foo": 1}, mongodb={"members": 4}))
    assert len(str(caught.value).splitlines()) == 1 + 4


def test_wrong_key_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(given(chain={"deployerKey": "0xdeadbeef"}))
    message = str(caught.value)
    assert "berth:chain.deployerKey" in message
    assert "64 hexadecimal digits" in message
    assert "deadbeef" not in message


def test_settings_do_not_show_the_key_when_printed() -> None:
    assert anvil_key[2:] not in repr(parse({}))


def test_a_provider_reads_one_section() -> None:
    config = given(chain={"chainId": 5}, access={"delegates": True})
    assert load_section(ChainSettings, config, "chain").chain_id == 5
    assert load_section(AccessSettings, config, "access").delegates
    with pytest.raises(SettingsError, match=r"berth:chain\.chainid is not a setting"):
        load_section(ChainSettings, given(chain={"chainid": 5}), "chain")
