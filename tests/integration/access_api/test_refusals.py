"""What the service refuses over HTTP: each with its reason, logged once and counted, and nothing on the chain."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access import possession
from berth.access.client.wallet import Wallet
from berth.chain import dev
from berth.chain.eip712 import register_message
from tests.integration.access_api.conftest import Service, World

pytestmark = pytest.mark.chain
low_order = [
    b64encode(bytes.fromhex(digits)).decode()
    for digits in (
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ec" + "ff" * 30 + "7f",
    )
]


@dataclass
class Attempt:
    """A registration taken apart, so that each part can be made wrong."""

    world: World
    service: Service
    wallet: Wallet
    token: int
    private: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    offer: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = self.world.signed_in(self.service, self.wallet)
        self.http = httpx.Client(base_url=f"{self.service.url}/api/access", headers=self.client._http.headers)

    @property
    def key(self) -> str:
        return possession.public_of(self.private)

    def begin(self, **changes: Any) -> httpx.Response:
        answer = self.http.post("/registrations", json={"token": str(self.token), "key": self.key, **changes})
        if answer.is_success:
            self.offer = answer.json()
        return answer

    def message(self, **changes: Any) -> dict[str, Any]:
        given = {
            "chain_id": self.world.endpoint.chain_id,
            "registry": self.world.contracts.key_registry,
            "token": self.token,
            "key": self.key,
            "nonce": int(self.offer["typedData"]["message"]["nonce"]),
            "deadline": self.offer["deadline"],
        }
        return register_message(**{**given, **changes})

    def body(self, **changes: Any) -> dict[str, Any]:
        from base64 import b64decode

        challenge = self.offer["challenge"]
        proof = possession.proof(
            self.private, b64decode(challenge["serverKey"]), b64decode(challenge["nonce"]), self.token,
            b64decode(self.key),
        )  # fmt: skip
        return {
            "token": str(self.token),
            "key": self.key,
            "deadline": self.offer["deadline"],
            "signature": "0x" + self.wallet.sign_typed(self.message()).hex(),
            "challenge": challenge["id"],
            "proof": b64encode(proof).decode(),
            **changes,
        }

    def finish(self, **changes: Any) -> httpx.Response:
        return self.http.post("/devices", json=self.body(**changes))

    def signed(self, **changes: Any) -> str:
        return "0x" + self.wallet.sign_typed(self.message(**changes)).hex()


@pytest.fixture
def attempt(world: World, service: Service) -> Attempt:
    return Attempt(world, service, *world.member())


def refused(service: Service, reason: str, status: int, ask: Callable[[], httpx.Response]) -> dict[str, Any]:
    """The problem document of a refusal, which was counted and logged exactly once."""
    before, logged = service.refusals(reason), len(service.logged("refused", reason=reason))
    answer = ask()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["reason"] == reason
    assert problem["detail"]
    assert service.refusals(reason) == before + 1
    assert len(service.logged("refused", reason=reason)) == logged + 1
    return problem


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("A" * 43 + "=", "key-zero"),
        *[(key, "key-low-order") for key in low_order],
        ("7f///////////////////////////////////////38=", "key-not-canonical"),
        ("////////////////////////////////////////////"[:43] + "=", "key-malformed"),
        ("not base64", "key-malformed"),
        ("", "key-malformed"),
        ("AQ==", "key-malformed"),
    ],
)
def test_keys_that_may_be_no_peer(attempt: Attempt, service: Service, key: str, reason: str) -> None:
    refused(service, reason, 422, lambda: attempt.begin(key=key))


def test_the_key_of_a_node(attempt: Attempt, service: Service, world: World) -> None:
    refused(service, "key-of-node", 409, lambda: attempt.begin(key=world.node.stats["interfacePublicKey"]))


def test_the_key_of_another_peer(attempt: Attempt, service: Service, world: World) -> None:
    other, token = world.member()
    with world.signed_in(service, other) as client:
        taken = client.register(other, token, X25519PrivateKey.generate()).key
    refused(service, "key-taken", 409, lambda: attempt.begin(key=taken))


def test_a_key_that_is_taken_between_the_two_requests(attempt: Attempt, service: Service, world: World) -> None:
    attempt.begin()
    other, token = world.member()
    with world.signed_in(service, other) as client:
        client.register(other, token, attempt.private)
    refused(service, "key-taken", 409, attempt.finish)


def test_foreign_passes(attempt: Attempt, service: Service, world: World) -> None:
    _, foreign = world.member()
    problem = refused(service, "not-holder", 403, lambda: attempt.begin(token=foreign))
    assert problem["holder"] != attempt.wallet.address
    refused(service, "not-holder", 403, lambda: attempt.begin(token=str(2**256 - 1)))


@pytest.mark.parametrize(
    "changes",
    [{"chain_id": 1}, {"registry": "0x" + "11" * 20}, {"token": 10**6}, {"key": dev.fresh_public_key()}, {"nonce": 9},
     {"deadline": 2**40}],
)  # fmt: skip
def test_signatures_over_something_else(attempt: Attempt, service: Service, changes: dict[str, Any]) -> None:
    attempt.begin()
    problem = refused(service, "signature-invalid", 422, lambda: attempt.finish(signature=attempt.signed(**changes)))
    assert attempt.world.contracts.key_registry in problem["detail"]
    assert attempt.world.registry.slot_of(attempt.token) == 0


def test_another_domain(attempt: Attempt, service: Service) -> None:
    attempt.begin()
    message = attempt.message()
    message["domain"] = {**message["domain"], "name": "another application"}
    signature = "0x" + attempt.wallet.sign_typed(message).hex()
    refused(service, "signature-invalid", 422, lambda: attempt.finish(signature=signature))


def test_a_signature_of_somebody_else(attempt: Attempt, service: Service, world: World) -> None:
    attempt.begin()
    forged = "0x" + world.wallet().sign_typed(attempt.message()).hex()
    refused(service, "signature-invalid", 422, lambda: attempt.finish(signature=forged))


def test_a_stale_nonce(attempt: Attempt, service: Service) -> None:
    attempt.begin()
    stale = attempt.body()
    second = Attempt(attempt.world, service, attempt.wallet, attempt.token)
    second.begin()
    assert second.finish().status_code == 201
    refused(service, "signature-stale", 409, lambda: attempt.http.post("/devices", json=stale))


def test_a_challenge_is_good_once(attempt: Attempt, service: Service) -> None:
    attempt.begin()
    body = attempt.body()
    assert attempt.http.post("/devices", json=body).status_code == 201
    refused(service, "challenge-unknown", 409, lambda: attempt.http.post("/devices", json=body))


def test_a_challenge_of_another_request(attempt: Attempt, service: Service) -> None:
    attempt.begin()
    refused(service, "challenge-mismatch", 409, lambda: attempt.finish(deadline=attempt.offer["deadline"] + 1))


@pytest.mark.parametrize("proof", [b64encode(bytes(32)).decode(), "", "!", b64encode(b"short").decode()])
def test_without_the_private_key_there_is_no_device(attempt: Attempt, service: Service, proof: str) -> None:
    attempt.begin()
    refused(service, "proof-invalid", 422, lambda: attempt.finish(proof=proof))
    assert attempt.world.registry.slot_of(attempt.token) == 0


def test_a_key_that_somebody_saw(attempt: Attempt, service: Service) -> None:
    """The squatter knows the public half alone, and answers with a key pair of its own."""
    victim = dev.fresh_public_key()
    attempt.begin(key=victim)
    refused(service, "proof-invalid", 422, lambda: attempt.finish(key=victim, signature=attempt.signed(key=victim)))


def test_oversize(attempt: Attempt, service: Service) -> None:
    attempt.begin()
    refused(service, "signature-oversize", 413, lambda: attempt.finish(signature="0x" + "00" * 5000))
    attempt.begin()
    refused(service, "body-too-large", 413, lambda: attempt.finish(signature="0x" + "00" * 9000))


@pytest.mark.parametrize("signature", ["0xzz", "0x1", "hello"])
def test_what_is_no_signature(attempt: Attempt, service: Service, signature: str) -> None:
    attempt.begin()
    refused(service, "signature-invalid", 422, lambda: attempt.finish(signature=signature))


@pytest.mark.parametrize(
    "body",
    [{}, {"token": 1}, {"token": -1, "key": "x"}, {"token": "1e3", "key": "x"}, {"token": True, "key": "x"},
     {"token": 1, "key": 2}, {"token": 2**256, "key": "x"}, {"token": 1, "key": "x", "more": 1}, [], "x"],
)  # fmt: skip
def test_bodies_that_are_none(attempt: Attempt, service: Service, body: Any) -> None:
    refused(service, "malformed", 422, lambda: attempt.http.post("/registrations", json=body))


def test_revoking_what_is_not_ones_own(attempt: Attempt, service: Service, world: World) -> None:
    other, token = world.member()
    with world.signed_in(service, other) as client:
        client.register(other, token, X25519PrivateKey.generate())
    offer = attempt.http.post("/revocations", json={"token": token}).json()
    message = {**offer["typedData"], "message": {k: int(v) for k, v in offer["typedData"]["message"].items()}}
    body = {"deadline": offer["deadline"], "signature": "0x" + attempt.wallet.sign_typed(message).hex()}
    refused(service, "not-holder", 403, lambda: attempt.http.request("DELETE", f"/devices/{token}", json=body))
    assert world.registry.slot_of(token)


@pytest.mark.parametrize("path", ["passes", "devices", "nodes", "session"])
@pytest.mark.parametrize("authorization", ["", "Bearer x", "Bearer a.b", "Basic abc", "Bearer " + "x" * 2000])
def test_without_a_session(service: Service, path: str, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    refused(service, "signed-out", 401, lambda: httpx.get(f"{service.url}/api/access/{path}", headers=headers))
