"""What ``berth connect`` decides: which node, what to sign, what to write."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access.client import probe
from berth.access.client.device import Profile, peers_in, private_from, private_in, private_text, write_private
from berth.access.client.errors import NothingToUse, Untrusted, WalletError
from berth.access.client.probe import Measured, choose, measure, ranked
from berth.access.client.service import AccessService
from berth.access.client.wallet import Wallet
from berth.access.possession import public_of
from berth.chain import dev
from berth.chain.eip712 import domain, register_message, revoke_message
from berth.kit.client import ApiRefused, ClientError, Unreachable, WrongUsage

# ---------------------------------------------------------------- which node


def node(name: str, milliseconds: float | None, healthy: bool | None = True, connected: int | None = 0) -> Measured:
    seconds = None if milliseconds is None else milliseconds / 1000
    return Measured({"id": name, "healthy": healthy, "connected": connected}, seconds)


@pytest.mark.parametrize(
    ("nodes", "order"),
    [
        ([node("far", 100), node("near", 5), node("middle", 50)], ["near", "middle", "far"]),
        ([node("near", 5, healthy=False), node("middle", 50), node("far", 100)], ["middle", "far"]),
        ([node("a", 20, connected=9), node("b", 21, connected=2)], ["b", "a"]),  # as good as equal: by load
        ([node("a", 20, connected=9), node("b", 60, connected=2)], ["a", "b"]),
        ([node("a", 100), node("b", 115, connected=0), node("c", 130)], ["a", "b", "c"]),
        ([node("b", 20), node("a", 20)], ["a", "b"]),
        ([node("mute", None), node("far", 900)], ["far", "mute"]),
        ([node("unwatched", 10, healthy=None)], ["unwatched"]),
        ([node("a", 1, healthy=False)], []),
    ],
)
def test_the_nearest_that_is_well(nodes: list[Measured], order: list[str]) -> None:
    assert [one.node["id"] for one in ranked(nodes)] == order


def test_a_node_by_name_even_if_it_is_not_the_best() -> None:
    nodes = [node("near", 5), node("far", 100)]
    assert choose(nodes, "far").node["id"] == "far"
    with pytest.raises(WrongUsage, match="on offer: near, far"):
        choose(nodes, "other")
    with pytest.raises(NothingToUse, match="no node is well"):
        choose([node("a", 1, healthy=False)])
    with pytest.raises(NothingToUse, match="announced"):
        choose([])


def test_probes_are_asked_where_the_gateway_is() -> None:
    asked: list[str] = []

    def ask(url: str) -> float:
        asked.append(url)
        return 0.001

    nodes = [{"id": "a", "probeUrl": "/nodes/a/ping"}, {"id": "b", "probeUrl": "https://b.example/ping"}, {"id": "c"}]
    found = measure("https://vpn.example", nodes, ask)
    assert sorted(asked) == ["https://b.example/ping", "https://vpn.example/nodes/a/ping"]
    assert [one.seconds for one in found] == [0.001, 0.001, None]
    assert measure("https://vpn.example", [], ask) == []


def test_what_does_not_answer_has_no_distance() -> None:
    assert probe.round_trip("http://127.0.0.1:9/ping") is None


# ---------------------------------------------------------------- what to write


def profile(**changes: Any) -> Profile:
    given: dict[str, Any] = {
        "private": X25519PrivateKey.from_private_bytes(bytes(range(32))),
        "address": "10.77.0.2",
        "address6": "fd77::2",
        "node_key": "NODEKEY=",
        "endpoint": "vpn.example:51820",
        "allowed_ips": ["10.77.0.1/32", "fd77::1/128"],
        "dns": ["10.77.0.1"],
        "mtu": 1380,
    }
    return Profile(**{**given, **changes})


def test_the_file_is_what_wg_quick_takes() -> None:
    assert profile().text() == (
        "[Interface]\n"
        "PrivateKey = AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
        "Address = 10.77.0.2/32, fd77::2/128\n"
        "DNS = 10.77.0.1\n"
        "MTU = 1380\n"
        "\n"
        "[Peer]\n"
        "PublicKey = NODEKEY=\n"
        "Endpoint = vpn.example:51820\n"
        "AllowedIPs = 10.77.0.1/32, fd77::1/128\n"
        "PersistentKeepalive = 25\n"
    )
    assert "DNS" not in profile(dns=[]).text()
    assert "Address = 10.77.0.2/32\n" in profile(address6=None).text()
    assert "AAEC" not in repr(profile())


def test_through_a_bridge_the_file_leads_to_this_machine_and_knows_the_other_nodes(tmp_path: Path) -> None:
    bridged = profile().through(51888, 1414, ["OTHER=", "THIRD="])
    text = bridged.text()
    assert "MTU = 1414\n" in text
    assert text.endswith(
        "[Peer]\n# through a TCP bridge: `berth tunnel` has to run beside this\n"
        "PublicKey = NODEKEY=\nEndpoint = 127.0.0.1:51888\nAllowedIPs = 10.77.0.1/32, fd77::1/128\n"
        "PersistentKeepalive = 25\n"
        "\n[Peer]\nPublicKey = OTHER=\nEndpoint = 127.0.0.1:51888\n"
        "\n[Peer]\nPublicKey = THIRD=\nEndpoint = 127.0.0.1:51888\n"
    )
    file = tmp_path / "berth.conf"
    file.write_text(text)
    assert [(one.key, one.endpoint) for one in peers_in(file)] == [
        (key, "127.0.0.1:51888") for key in ("NODEKEY=", "OTHER=", "THIRD=")
    ]
    assert all(one.bridged for one in peers_in(file))
    file.write_text(profile(endpoint="127.0.0.1:51820").text())  # a node on this machine
    assert not peers_in(file)[0].bridged
    with pytest.raises(ClientError, match="more than one line"):
        profile().through(51888, 1414, ["x\nPostUp = touch /tmp/owned"]).text()


@pytest.mark.parametrize("text", ["", "[Interface]\nPublicKey = x\n", "[Peer]\n# PublicKey = x\n"])
def test_a_file_without_a_peer_is_none_of_ours(tmp_path: Path, text: str) -> None:
    file = tmp_path / "berth.conf"
    file.write_text(text)
    with pytest.raises(ClientError, match="has no peer"):
        peers_in(file)


@pytest.mark.parametrize("field", ["endpoint", "node_key", "address"])
def test_a_service_cannot_put_commands_into_the_file(field: str) -> None:
    with pytest.raises(ClientError, match="more than one line"):
        profile(**{field: "x\nPostUp = touch /tmp/owned"}).text()
    with pytest.raises(ClientError):
        profile(dns=["1.1.1.1\rPostUp = touch /tmp/owned"]).text()


def test_a_private_file_is_private_and_replaces_nothing(tmp_path: Path) -> None:
    file = tmp_path / "new" / "berth.conf"
    write_private(file, profile().text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert private_text(private_in(file)) == private_text(profile().private)
    with pytest.raises(ClientError, match="--force"):
        write_private(file, "other")
    assert "[Interface]" in file.read_text()
    file.chmod(0o644)
    write_private(file, "PrivateKey = x", replace=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["berth.conf"]
    with pytest.raises(ClientError, match="not a WireGuard private key"):
        private_in(file)


@pytest.mark.parametrize("text", ["", "AQ==", "x" * 44, "!"])
def test_what_is_no_private_key(text: str) -> None:
    with pytest.raises(ClientError) as wrong:
        private_from(text)
    assert not text or text not in str(wrong.value)


# ---------------------------------------------------------------- wallets


def test_wallets_from_text() -> None:
    fresh = dev.Wallet.fresh()
    for text in (fresh.key, fresh.key[2:], f"  {fresh.key}\n"):
        assert Wallet.from_text(text).address == fresh.address
    assert fresh.key not in repr(Wallet.from_text(fresh.key))


@pytest.mark.parametrize("text", ["", "hello", "0x12", "{", "{}", "0x" + "00" * 32])
def test_what_is_no_wallet(text: str) -> None:
    with pytest.raises(WalletError):
        Wallet.from_text(text, lambda: "password")


# ---------------------------------------------------------------- what to sign

registry, chain_id = "0x" + "11" * 20, 31337
base = "https://vpn.example"


class Lying:
    """A service that answers as told; what is not told is refused."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.seen = answers, []  # type: ignore[var-annotated]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/access/")
        self.seen.append((request.method, path, json.loads(request.content or b"{}")))
        answer = self.answers.get(path)
        if answer is None:
            return httpx.Response(404, json={"detail": "no", "reason": "no-binding"})
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


def service(answers: dict[str, Any]) -> tuple[AccessService, Lying]:
    lying = Lying({"config": {"chainId": chain_id, "keyRegistry": registry}, **answers})
    made = AccessService(base)
    made._http = httpx.Client(base_url=base, transport=httpx.MockTransport(lying))
    return made, lying


wallet = Wallet(*(lambda fresh: (fresh.key, fresh.address))(dev.Wallet.fresh()))


def sign_in_text(host: str = "vpn.example", address: str = "{address}", nonce: str = "ab", uri: str = base) -> str:
    return (
        f"{host} wants you to sign in with your Ethereum account:\n{address}\n\nHello.\n\n"
        f"URI: {uri}\nNonce: {nonce}\nIssued At: now"
    )


@pytest.mark.parametrize(
    "text",
    [
        sign_in_text(host="evil.example"),
        sign_in_text(host="x vpn.example"),
        sign_in_text(uri="https://evil.example"),
        sign_in_text(address="0x00"),
        sign_in_text(nonce="cd"),
        "I owe you everything",
    ],
)
def test_a_message_for_somewhere_else_is_not_signed(text: str) -> None:
    client, seen = service({"nonce": {"message": text.format(address=wallet.address), "nonce": "ab"}})
    with pytest.raises(Untrusted):
        client.sign_in(wallet)
    assert [path for _, path, _ in seen.seen] == ["nonce"]


def test_a_message_for_here_is_signed() -> None:
    text = sign_in_text().format(address=wallet.address)
    client, seen = service({"nonce": {"message": text, "nonce": "ab"}, "session": {"token": "t"}})
    client.sign_in(wallet)
    assert seen.seen[1][2]["signature"] == "0x" + wallet.sign_text(text).hex()


private = X25519PrivateKey.generate()
key = public_of(private)


@pytest.mark.parametrize(
    "changed",
    [
        register_message(chain_id, registry, 8, key, 0, 99),
        register_message(chain_id, registry, 7, dev.fresh_public_key(), 0, 99),
        register_message(1, registry, 7, key, 0, 99),
        register_message(chain_id, "0x" + "22" * 20, 7, key, 0, 99),
        register_message(chain_id, registry, 7, key, 0, 2**40),
        revoke_message(chain_id, registry, 7, 0, 99),
        {**register_message(chain_id, registry, 7, key, 0, 99), "domain": {**domain(chain_id, registry), "name": "x"}},
    ],
)
def test_another_request_than_ours_is_not_signed(changed: dict[str, Any]) -> None:
    client, seen = service({"registrations": {"typedData": changed, "deadline": 99, "challenge": {}}})
    with pytest.raises(Untrusted):
        client.register(wallet, 7, private)
    assert [path for _, path, _ in seen.seen if path == "devices"] == []


def test_refusals_carry_their_reason() -> None:
    limited = httpx.Response(429, json={"detail": "slow down", "reason": "rate-limited"}, headers={"Retry-After": "7"})
    client, _ = service({"passes": limited})
    with pytest.raises(ApiRefused, match="slow down") as refused:
        client.passes()
    assert (refused.value.status, refused.value.reason, refused.value.retry_after) == (429, "rate-limited", 7.0)


def test_the_gateway_of_a_service_that_is_away() -> None:
    client, _ = service({"passes": httpx.Response(503, json={"status": 503, "detail": "The access API is not up."})})
    with pytest.raises(Unreachable, match="is not up"):
        client.passes()


@pytest.mark.parametrize(
    ("down", "says"),
    [
        ({"chain", "access"}, "the chain that https://vpn.example reads does not answer"),
        ({"access"}, "The access API is not up"),
    ],
)
def test_a_chain_that_is_down_is_not_blamed_on_the_service(down: set[str], says: str) -> None:
    checks = {name: {"ok": name not in down} for name in ("chain", "mongodb", "access")}
    away = httpx.Response(503, json={"status": 503, "detail": "The access API is not up."})
    client, _ = service({"nonce": away, "/health": httpx.Response(503, json={"status": "failing", "checks": checks})})
    with pytest.raises(Unreachable, match=says):
        client.sign_in(wallet)


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, text="<html>"), httpx.Response(502, text=""), httpx.Response(200, json=[])]
)
def test_what_is_not_the_service(answer: httpx.Response) -> None:
    client, _ = service({"passes": answer})
    with pytest.raises(Unreachable, match="is not the access API"):
        client.passes()
