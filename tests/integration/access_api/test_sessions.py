"""Signing in: accounts, wallet contracts, cookies, rates, and what a restart keeps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access.client.service import AccessService
from berth.access.client.wallet import Wallet
from berth.chain import dev
from berth.chain.anvil import accounts_key
from berth.kit.client import ApiRefused
from tests.integration.access_api.conftest import Service, World, free_port
from tests.integration.access_api.test_refusals import Attempt, refused

pytestmark = pytest.mark.chain


def offer(service: Service, address: str, **headers: str) -> dict[str, Any]:
    answer = httpx.post(f"{service.url}/api/access/nonce", json={"address": address}, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def begin(service: Service, nonce: str, signature: bytes, headers: Any = None, **body: str) -> httpx.Response:
    body = {"nonce": nonce, "signature": "0x" + signature.hex(), "transport": "bearer", **body}
    return httpx.post(f"{service.url}/api/access/session", json=body, headers=headers)


def test_the_message_is_for_this_origin_and_account(world: World, service: Service) -> None:
    wallet = world.wallet()
    message = offer(service, wallet.address.lower())["message"].splitlines()
    assert message[0] == f"127.0.0.1:{service.port} wants you to sign in with your Ethereum account:"
    assert message[1] == wallet.address
    assert f"URI: {service.url}" in message
    assert f"Chain ID: {world.endpoint.chain_id}" in message
    twin = offer(service, wallet.address, Origin=f"http://localhost:{service.port}")["message"]
    assert f"URI: http://localhost:{service.port}\n" in twin


def test_a_message_is_good_once_even_when_it_failed(world: World, service: Service) -> None:
    wallet, other = world.wallet(), world.wallet()
    made = offer(service, wallet.address)
    right, wrong = wallet.sign_text(made["message"]), other.sign_text(made["message"])
    refused(service, "signature-invalid", 401, lambda: begin(service, made["nonce"], wrong))
    refused(service, "nonce-unknown", 401, lambda: begin(service, made["nonce"], right))
    refused(service, "nonce-unknown", 401, lambda: begin(service, "00" * 16, right))


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost", "null", "http://localhost:1@evil:80"])
def test_other_pages_are_refused(world: World, service: Service, origin: str) -> None:
    address = world.wallet().address
    url = f"{service.url}/api/access/nonce"
    refused(
        service, "origin-refused", 403,
        lambda: httpx.post(url, json={"address": address}, headers={"Origin": origin}),
    )  # fmt: skip
    refused(service, "origin-refused", 403, lambda: httpx.post(url, json={"address": address, "uri": origin}))


def test_a_message_of_one_page_opens_no_session_on_another(world: World, service: Service) -> None:
    wallet = world.wallet()
    made = offer(service, wallet.address, Origin=f"http://localhost:{service.port}")
    signature = wallet.sign_text(made["message"])
    headers = {"Origin": service.url}
    refused(service, "origin-refused", 403, lambda: begin(service, made["nonce"], signature, headers))


def browser(world: World, service: Service, wallet: Wallet) -> httpx.Client:
    """A client with the cookie, as a browser at the public origin."""
    client = httpx.Client(base_url=f"{service.url}/api/access", headers={"Origin": service.url})
    made = client.post("/nonce", json={"address": wallet.address}).json()
    body = {"nonce": made["nonce"], "signature": "0x" + wallet.sign_text(made["message"]).hex()}
    answer = client.post("/session", json=body)
    assert answer.status_code == 200, answer.text
    assert "token" not in answer.json()
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/api" in cookie.split("; ")  # the manager of leases reads it as well
    assert "Secure" not in cookie  # localhost without TLS
    return client


def test_a_cookie_counts_only_from_our_own_page(world: World, service: Service) -> None:
    wallet, token = world.member()
    client = browser(world, service, wallet)
    assert client.get("/session").json()["address"] == wallet.address
    body = {"token": token, "key": dev.fresh_public_key()}
    assert client.post("/registrations", json=body).status_code == 200
    del client.headers["Origin"]
    refused(service, "origin-refused", 403, lambda: client.post("/registrations", json=body))
    other = {"Origin": f"http://localhost:{service.port}"}
    refused(service, "origin-refused", 403, lambda: client.post("/registrations", json=body, headers=other))
    evil = {"Origin": "https://evil.example"}
    refused(service, "origin-refused", 403, lambda: client.get("/passes", headers=evil))


def test_a_cookie_is_no_bearer_token(world: World, service: Service) -> None:
    client = browser(world, service, world.wallet())
    text = client.cookies["berth_session"]
    bearer = {"Authorization": f"Bearer {text}"}
    refused(service, "signed-out", 401, lambda: httpx.get(f"{service.url}/api/access/passes", headers=bearer))


def test_signing_out_ends_the_session(world: World, service: Service) -> None:
    client = browser(world, service, world.wallet())
    cookie = {"Cookie": f"berth_session={client.cookies['berth_session']}"}
    assert client.delete("/session").status_code == 204
    assert "berth_session" not in client.cookies
    # Whoever kept the cookie has nothing of it.
    refused(service, "signed-out", 401, lambda: httpx.get(f"{service.url}/api/access/passes", headers=cookie))


def test_a_wallet_contract_signs_in_and_registers(world: World, service: Service) -> None:
    signer = world.wallet()
    address = world.smart_wallet(signer.address)
    token = dev.mint(world.endpoint, world.contracts.access_pass, accounts_key, address)
    attempt = Attempt(world, service, Wallet(signer.key, address), token)
    assert attempt.begin().status_code == 200
    assert attempt.finish().status_code == 201
    (peer,) = world.registry.peers_of([token])
    assert (peer.holder, peer.key) == (address, attempt.key)


def test_a_wallet_contract_with_another_signer(world: World, service: Service) -> None:
    address = world.smart_wallet(world.wallet().address)
    made = offer(service, address)
    signature = world.wallet().sign_text(made["message"])
    problem = refused(service, "signature-invalid", 401, lambda: begin(service, made["nonce"], signature))
    assert "ERC-1271" in problem["detail"]


def test_a_wallet_that_is_not_deployed_is_refused_by_name(world: World, service: Service) -> None:
    made = offer(service, world.wallet().address)
    signature = bytes(96) + bytes.fromhex("6492" * 16)
    problem = refused(service, "counterfactual-wallet", 422, lambda: begin(service, made["nonce"], signature))
    assert "deploy it first" in problem["detail"]


@pytest.fixture
def strict(world: World) -> Iterator[Service]:
    running = Service(
        world.variables(
            RELAY_PER_MINUTE="2",
            REQUESTS_PER_MINUTE="40",
            SIGN_INS_PER_MINUTE="5",
            GATEWAY_ADDRESS="127.0.0.1",
            ORIGINS="https://vpn.example",
        ),
        free_port(),
    ).start()
    yield running
    running.stop()


def test_under_tls_the_cookie_is_for_tls_alone(world: World, strict: Service) -> None:
    wallet, headers = world.wallet(), {"Origin": "https://vpn.example"}
    made = offer(strict, wallet.address, **headers)
    answer = begin(strict, made["nonce"], wallet.sign_text(made["message"]), headers, transport="cookie")
    assert "; Secure" in answer.headers["set-cookie"]


def test_the_relay_has_a_rate_for_each_wallet(world: World, strict: Service) -> None:
    wallet, token = world.member()
    with world.signed_in(strict, wallet) as client:
        for _ in range(2):
            client.register(wallet, token, X25519PrivateKey.generate())
        with pytest.raises(ApiRefused, match="try again in") as limited:
            client.register(wallet, token, X25519PrivateKey.generate())
    assert (limited.value.status, limited.value.reason) == (429, "rate-limited")
    assert 0 < (limited.value.retry_after or 0) <= 60


def test_callers_have_a_rate_each(strict: Service) -> None:
    def ask(caller: str) -> int:
        url = f"{strict.url}/api/access/config"
        # What the caller wrote, then what the gateway adds: in the same line, or in one of its own.
        written, added = ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", f"203.0.113.8, {caller}")
        return httpx.get(url, headers=[written, added]).status_code

    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, ["198.51.100.1"] * 100))
    regained = (time.monotonic() - started) * 40 / 60
    assert 40 <= found.count(200) <= 41 + regained
    assert found.count(429) == 100 - found.count(200) > 0
    assert ask("198.51.100.2") == 200
    assert strict.refusals("rate-limited") == found.count(429)


def test_signing_in_has_a_rate_of_its_own(world: World, strict: Service) -> None:
    def ask() -> int:
        body, headers = {"address": world.relay.address}, {"X-Forwarded-For": "198.51.100.3"}
        return httpx.post(f"{strict.url}/api/access/nonce", json=body, headers=headers).status_code

    started = time.monotonic()
    allowed = [ask() for _ in range(12)].count(200)
    assert 5 <= allowed <= 6 + (time.monotonic() - started) * 5 / 60


def test_a_restart_keeps_sessions_but_no_half_done_sign_in(world: World) -> None:
    running = Service(world.variables(), free_port()).start()
    wallet, token = world.member()
    client = world.signed_in(running, wallet)
    made = offer(running, wallet.address)
    attempt = Attempt(world, running, wallet, token)
    attempt.begin()
    assert running.stop() == 0
    assert running.log[-1]["event"] == "access API has stopped"
    running.start()
    try:
        assert [one["token"] for one in client.passes()] == [str(token)]
        signature = wallet.sign_text(made["message"])
        refused(running, "nonce-unknown", 401, lambda: begin(running, made["nonce"], signature))
        refused(running, "challenge-unknown", 409, attempt.finish)
        assert client.register(wallet, token, X25519PrivateKey.generate()).token == token
    finally:
        running.stop()


def test_another_key_ends_all_sessions(world: World) -> None:
    running = Service(world.variables(), free_port()).start()
    client = world.signed_in(running, world.wallet())
    running.stop()
    running.variables["SESSION_KEY"] = "another session key, of thirty-two characters"
    running.start()
    try:
        with pytest.raises(ApiRefused, match="sign in again"):
            client.passes()
    finally:
        running.stop()


def test_a_poor_relay_says_so(world: World) -> None:
    poor = dev.Wallet.fresh()
    running = Service(world.variables(RELAY_PRIVATE_KEY=poor.key), free_port()).start()
    wallet, token = world.member()
    try:
        report = httpx.get(f"{running.url}/health")
        assert (report.status_code, report.json()["status"]) == (200, "degraded")
        assert "send it some" in report.json()["checks"]["relay"]["detail"]
        assert "berth_access_relay_balance_coins 0.0" in httpx.get(f"{running.url}/metrics").text
        with world.signed_in(running, wallet) as client, pytest.raises(ApiRefused, match="tell the operator") as told:
            client.register(wallet, token, X25519PrivateKey.generate())
        assert told.value.reason == "relay-poor"
    finally:
        running.stop()


def test_a_chain_that_is_gone_is_told_without_its_address(world: World) -> None:
    running = Service(world.variables(RPC_URLS="http://127.0.0.1:9/secret-path"), free_port()).start()
    try:
        answer = httpx.get(f"{running.url}/api/access/config")
        assert (answer.status_code, answer.json()["reason"]) == (503, "chain-unreachable")
        assert "secret-path" not in answer.text
        assert httpx.get(f"{running.url}/health").status_code == 503
    finally:
        running.stop()


def test_wrong_settings_are_listed_and_no_secret_is_shown(world: World) -> None:
    import subprocess
    import sys

    from tests.integration.access_api.conftest import root

    wrong = {
        "PUBLIC_URL": "http://vpn.example", "CHAIN_ID": "x", "RELAY_PRIVATE_KEY": "0xabc", "NODES": "{}",
        "SESSION_KEY": "short", "KEY_REGISTRY": "0x12",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "berth.access.api"], cwd=root, env=wrong, capture_output=True, text=True
    )
    assert done.returncode == 2
    for name in (*wrong, "NODE_REGISTRY"):
        assert name in done.stderr
    assert "needs TLS" in done.stderr
    assert "0xabc" not in done.stderr
    assert "short" not in done.stderr.replace("shorter", "")


def test_a_client_that_is_sent_elsewhere_signs_nothing(world: World, service: Service) -> None:
    with AccessService(f"http://localhost:{service.port}") as client:
        client.sign_in(world.wallet())  # the twin of the public origin
