"""Who signed what, as far as it can be told without a chain; wallet contracts are asked in the integration tests."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from berth.chain import dev
from berth.chain.eip712 import register_message, revoke_message, sign
from berth.chain.endpoint import Endpoint
from berth.chain.errors import CallFailed
from berth.chain.signatures import (
    Counterfactual,
    NotSigned,
    ethereum_signature,
    personal_hash,
    recover,
    require_signed,
    typed_hash,
)

registry = "0x" + "11" * 20
wallet = dev.Wallet.fresh()


class Chain(Endpoint):
    """Answers what a wallet contract would."""

    def __init__(self, code: bytes = b"", answer: Any = None) -> None:
        super().__init__("http://127.0.0.1:9", 31337)
        self._code, self._answer, self.asked = code, answer, 0

    def code(self, address: str, block: object = "latest") -> bytes:
        return self._code

    def request(self, method: str, *params: Any) -> Any:
        self.asked += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def personal(text: str) -> bytes:
    return bytes(Account.sign_message(encode_defunct(text=text), wallet.key).signature)


@pytest.mark.parametrize("text", ["hello", "", "ein Gruß\nüber zwei Zeilen", "x" * 1000])
def test_the_hash_of_a_text_is_what_wallets_sign(text: str) -> None:
    assert recover(personal_hash(text), personal(text)) == wallet.address


@pytest.mark.parametrize(
    "message",
    [register_message(31337, registry, 7, dev.fresh_public_key(), 3, 99), revoke_message(1, registry, 2**255, 0, 5)],
)
def test_the_hash_of_typed_data_is_what_wallets_sign(message: dict[str, Any]) -> None:
    signed = Account.sign_message(encode_typed_data(full_message=message), wallet.key)
    assert typed_hash(message) == signed.message_hash
    assert recover(typed_hash(message), sign(message, wallet.key)) == wallet.address


def test_a_chain_is_not_asked_about_an_ordinary_account() -> None:
    chain = Chain()
    require_signed(chain, wallet.address, personal_hash("a"), personal("a"))
    assert chain.asked == 0


@pytest.mark.parametrize("last", [0, 1])
def test_wallets_that_count_from_zero_are_understood(last: int) -> None:
    plain = next(s for n in range(100) if (s := personal(str(n)))[64] == 27 + last and (text := str(n)))
    odd = plain[:64] + bytes([last])
    assert recover(personal_hash(text), odd) == wallet.address
    assert ethereum_signature(odd) == plain
    assert ethereum_signature(plain) == plain


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        (personal("another text"), "not a signature of"),
        (b"", "not a signature of"),
        (bytes(65), "not a signature of"),
        (b"\xff" * 65, "not a signature of"),
        (personal("a")[:64], "not a signature of"),
        (personal("a")[:64] + b"\x63", "not a signature of"),
        (bytes(5000), "5000 bytes"),
        (b"whatever" + bytes.fromhex("6492" * 16), "not deployed yet"),
    ],
    ids=["of-another-text", "empty", "zeros", "ones", "short", "no-such-recovery", "long", "counterfactual"],
)
def test_what_is_no_signature_of_the_account(signature: bytes, says: str) -> None:
    with pytest.raises(NotSigned, match=says) as refused:
        require_signed(Chain(), wallet.address, personal_hash("a"), signature)
    assert isinstance(refused.value, Counterfactual) is ("deployed" in says)


valid = "0x1626ba7e" + "00" * 28


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (valid, True),
        (valid + "00", False),
        ("0x1626ba7e", False),
        ("0x" + "ff" * 32, False),
        ("0x", False),
        ("0x" + "00" * 31 + "01", False),
        (CallFailed("reverted"), False),
    ],
)
def test_only_the_exact_answer_of_a_wallet_contract_counts(answer: Any, accepted: bool) -> None:
    chain = Chain(b"code", answer)
    if accepted:
        require_signed(chain, wallet.address, personal_hash("a"), b"anything")
    else:
        with pytest.raises(NotSigned, match="ERC-1271"):
            require_signed(chain, wallet.address, personal_hash("a"), b"anything")


@given(st.binary(max_size=80))
def test_no_bytes_are_taken_for_a_signature_by_accident(signature: bytes) -> None:
    assert recover(personal_hash("a"), signature) != wallet.address
