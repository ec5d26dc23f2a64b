"""Known answers: EIP-55's own examples."""

from __future__ import annotations

import pytest

from berth.chain.accounts import address_of
from berth.chain.errors import PermanentError
from berth.chain.hashing import checksum_address, keccak, normalize_address, parse_address

spelled = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


def test_keccak_is_not_sha3() -> None:
    assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@pytest.mark.parametrize("address", spelled)
def test_checksum(address: str) -> None:
    assert checksum_address(bytes.fromhex(address[2:])) == address
    assert normalize_address(address.lower()) == address
    assert normalize_address("0x" + address[2:].upper()) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not an address"),
        ("0x12", "is not an address"),
        ("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "is not an address"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "mistyped"),
    ],
)
def test_refuses_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


def test_account_of_a_known_key() -> None:
    key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
    assert address_of(key) == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


@pytest.mark.parametrize("key", ["", "0x12", "secret-looking", "0x" + "00" * 32, "0x" + "ff" * 32])
def test_a_bad_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(PermanentError) as caught:
        address_of(key)
    assert not key or key not in str(caught.value)
