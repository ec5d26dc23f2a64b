"""Keccak-256 and checksum addresses, without the import time of eth_utils (0.2 s)."""

from __future__ import annotations

import re
from typing import Final

from eth_hash.auto import keccak as _keccak

_address: Final = re.compile(r"0x[0-9a-fA-F]{40}")
zero_address: Final = "0x" + "0" * 40


def keccak(data: bytes) -> bytes:
    """Keccak-256 (the chain's hash, not SHA3-256), 32 bytes."""
    return bytes(_keccak(data))


def checksum_address(raw: bytes) -> str:
    """The EIP-55 spelling of a 20-byte address."""
    plain = raw.hex()
    if len(plain) != 40:
        raise ValueError(f"an address has 20 bytes, not {len(raw)}")
    mask = keccak(plain.encode()).hex()
    return "0x" + "".join([c.upper() if m >= "8" else c for c, m in zip(plain, mask, strict=False)])


def parse_address(text: str) -> bytes:
    """The 20 bytes of a ``0x`` address; ValueError says what is wrong with it.

    Mixed case must be the EIP-55 checksum: it is there to catch typing errors.
    """
    if not _address.fullmatch(text):
        raise ValueError(f"{text!r} is not an address: 0x and 40 hex digits are")
    raw = bytes.fromhex(text[2:])
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and checksum_address(raw) != text:
        raise ValueError(f"{text} has a wrong checksum: one of its letters is mistyped")
    return raw


def normalize_address(text: str) -> str:
    """Any accepted spelling -> the EIP-55 spelling; ValueError as :func:`parse_address`."""
    return checksum_address(parse_address(text))
