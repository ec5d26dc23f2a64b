"""Sessions, challenges, messages and keys: what is taken, and what is not."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from berth.access import possession, wireguard_key
from berth.access.api.challenge import Challenges, Claim
from berth.access.api.errors import Refused
from berth.access.api.sessions import Sessions, Transport
from berth.access.api.signin import message
from tests.unit.access_api.test_bounded import Clock

alice = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
secret = "s" * 32


def reason(refused: pytest.ExceptionInfo[Refused]) -> str:
    return refused.value.reason


# ---------------------------------------------------------------- sessions


def test_a_session_says_who_where_and_until_when() -> None:
    clock = Clock()
    sessions = Sessions(secret, "31337|0x11", 60, clock)
    begun, text = sessions.begin(alice, "https://vpn.example", "bearer")
    assert sessions.read(text, "bearer") == begun
    assert (begun.address, begun.origin, begun.expires) == (alice, "https://vpn.example", 1060)
    clock.now = 1059.9
    sessions.read(text, "bearer")
    clock.now = 1060
    with pytest.raises(Refused) as refused:
        sessions.read(text, "bearer")
    assert reason(refused) == "session-expired"


def forged(text: str) -> str:
    """The session of somebody else, with the MAC of this one."""
    payload, mac = text.split(".")
    parts = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    parts[0] = "0x" + "22" * 20
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=") + "." + mac


@pytest.mark.parametrize(
    "change",
    [
        forged,
        lambda text: text[:-1],
        lambda text: text + "x" * 2000,
        lambda text: text.split(".")[0],
        lambda text: text.split(".")[0] + ".",
        lambda text: "." + text.split(".")[1],
        lambda text: "",
        lambda text: "é" + text,
    ],
)
def test_no_other_text_is_a_session(change: object) -> None:
    sessions = Sessions(secret, "a", 60)
    _, text = sessions.begin(alice, "https://vpn.example", "cookie")
    assert callable(change)
    with pytest.raises(Refused) as refused:
        sessions.read(change(text), "cookie")
    assert reason(refused) == "signed-out"


@pytest.mark.parametrize(
    ("key", "audience", "transport"), [("t" * 32, "a", "cookie"), (secret, "b", "cookie"), (secret, "a", "bearer")]
)
def test_a_session_of_another_key_stack_or_way(key: str, audience: str, transport: Transport) -> None:
    _, text = Sessions(secret, "a", 60).begin(alice, "https://vpn.example", "cookie")
    with pytest.raises(Refused):
        Sessions(key, audience, 60).read(text, transport)


def test_signing_out_is_of_that_session_alone() -> None:
    sessions = Sessions(secret, "a", 60)
    first, text = sessions.begin(alice, "https://vpn.example", "cookie")
    _, other = sessions.begin(alice, "https://vpn.example", "cookie")
    sessions.end(first)
    sessions.read(other, "cookie")
    with pytest.raises(Refused) as refused:
        sessions.read(text, "cookie")
    assert reason(refused) == "signed-out"


# ---------------------------------------------------------------- the message


def test_the_message_is_that_of_the_standard() -> None:
    issued = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert message("https://vpn.example:8443", alice, 8453, "0123456789abcdef", issued) == (
        "vpn.example:8443 wants you to sign in with your Ethereum account:\n"
        f"{alice}\n"
        "\n"
        "Sign in to berth. This costs nothing and sends no transaction.\n"
        "\n"
        "URI: https://vpn.example:8443\n"
        "Version: 1\n"
        "Chain ID: 8453\n"
        "Nonce: 0123456789abcdef\n"
        "Issued At: 2026-01-02T03:04:05Z\n"
        "Expiration Time: 2026-01-02T03:09:05Z"
    )


# ---------------------------------------------------------------- the challenge


class Client:
    def __init__(self) -> None:
        self.private = X25519PrivateKey.generate()
        self.claim = Claim(alice, 7, possession.public_of(self.private), 99)

    def answer(self, server_key: str, nonce: str, token: int = 7) -> bytes:
        key = b64decode(self.claim.key)
        return possession.proof(self.private, b64decode(server_key), b64decode(nonce), token, key)


def test_the_holder_of_the_private_half_can_answer() -> None:
    client, challenges = Client(), Challenges()
    made = challenges.make(client.claim)
    challenges.check(made.id, client.claim, client.answer(made.server_key, made.nonce))


def test_nobody_else_can() -> None:
    client, other, challenges = Client(), Client(), Challenges()
    made = challenges.make(client.claim)
    key = b64decode(client.claim.key)
    proof = possession.proof(other.private, b64decode(made.server_key), b64decode(made.nonce), 7, key)
    with pytest.raises(Refused) as refused:
        challenges.check(made.id, client.claim, proof)
    assert reason(refused) == "proof-invalid"


@pytest.mark.parametrize("token", [8, 0])
def test_a_proof_for_another_pass_is_none(token: int) -> None:
    client, challenges = Client(), Challenges()
    made = challenges.make(client.claim)
    with pytest.raises(Refused) as refused:
        challenges.check(made.id, client.claim, client.answer(made.server_key, made.nonce, token))
    assert reason(refused) == "proof-invalid"


@pytest.mark.parametrize(
    "changed",
    [
        Claim("0x" + "22" * 20, 7, "", 99),
        Claim(alice, 8, "", 99),
        Claim(alice, 7, "AQ==", 99),
        Claim(alice, 7, "", 100),
    ],
)
def test_a_challenge_is_for_one_claim(changed: Claim) -> None:
    client, challenges = Client(), Challenges()
    made = challenges.make(client.claim)
    claim = Claim(changed.address, changed.token, changed.key or client.claim.key, changed.deadline)
    with pytest.raises(Refused) as refused:
        challenges.check(made.id, claim, client.answer(made.server_key, made.nonce))
    assert reason(refused) == "challenge-mismatch"
    with pytest.raises(Refused) as refused:
        challenges.check(made.id, client.claim, client.answer(made.server_key, made.nonce))
    assert reason(refused) == "challenge-unknown", "one attempt uses it up"


def test_a_challenge_expires() -> None:
    clock = Clock()
    client, challenges = Client(), Challenges(clock)
    made = challenges.make(client.claim)
    clock.now += 300
    with pytest.raises(Refused) as refused:
        challenges.check(made.id, client.claim, client.answer(made.server_key, made.nonce))
    assert reason(refused) == "challenge-unknown"


def test_the_proof_that_both_sides_and_the_page_compute() -> None:
    """Known answer: the page's own implementation is held to the same."""
    own = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    server = X25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
    public = b64decode(possession.public_of(own))
    proof = possession.proof(own, b64decode(possession.public_of(server)), bytes(range(64, 96)), 258, public)
    assert proof == possession.proof(server, public, bytes(range(64, 96)), 258, public)
    assert b64encode(proof).decode() == "C8gBQTmsx5LVz26g6iPaAWXZpx9s7QRUlQ37HNQTYY4="


# ---------------------------------------------------------------- keys


@given(st.integers(0, 2**256 - 1))
def test_any_32_bytes_are_a_key_or_break_a_rule(number: int) -> None:
    text = b64encode(number.to_bytes(32, "little")).decode()
    if 0 < number < 2**255 - 19 and number not in wireguard_key._low_order:
        assert wireguard_key.parse(text) == number.to_bytes(32, "little")
    else:
        with pytest.raises(wireguard_key.InvalidKey):
            wireguard_key.parse(text)


@pytest.mark.parametrize("number", [1, 2**255 - 20])
def test_low_order_keys_are_those_that_share_no_secret(number: int) -> None:
    text = b64encode(number.to_bytes(32, "little")).decode()
    with pytest.raises(wireguard_key.InvalidKey) as fault:
        wireguard_key.parse(text)
    assert fault.value.fault == "key-low-order"
    with pytest.raises(ValueError):
        possession.proof(X25519PrivateKey.generate(), number.to_bytes(32, "little"), b"", 1, b"")


def test_every_low_order_point_shares_no_secret() -> None:
    """The table against the curve itself."""
    for number in wireguard_key._low_order:
        with pytest.raises(ValueError):
            possession.proof(X25519PrivateKey.generate(), number.to_bytes(32, "little"), b"", 1, b"")


def test_no_wallet_takes_the_place_of_all_others() -> None:
    challenges = Challenges(per_minute=2)
    mine, theirs = (Claim("0x" + digit * 40, 1, "k", 99) for digit in "12")
    challenges.make(mine)
    challenges.make(mine)
    with pytest.raises(Refused, match="too many challenges"):
        challenges.make(mine)
    challenges.make(theirs)
