"""Just enough ABI to call views with fixed-width arguments: selectors and 32-byte words.

For anything with a dynamic argument the package uses eth_abi (0.2 s to import) or web3.
"""

from __future__ import annotations

from functools import cache

from berth.chain.hashing import checksum_address, keccak

word = 32  # bytes


@cache
def selector(signature: str) -> bytes:
    """The first four bytes of the hash of ``name(type,...)``."""
    return keccak(signature.encode())[:4]


def encode_call(signature: str, *numbers: int) -> bytes:
    """A call whose arguments are all unsigned numbers (addresses as numbers too)."""
    return selector(signature) + b"".join(number.to_bytes(word, "big") for number in numbers)


def uint(data: bytes, position: int) -> int:
    """The unsigned number in the word that starts at ``position`` (bytes); ValueError past the end."""
    raw = data[position : position + word]
    if len(raw) != word:
        raise ValueError(f"{len(data)} bytes, a word at {position} expected")
    return int.from_bytes(raw, "big")


def address(data: bytes, position: int) -> str:
    """The address in the word that starts at ``position``; ValueError unless the word is one."""
    if uint(data, position) >> 160:
        raise ValueError(f"no address at byte {position}")
    return checksum_address(data[position + 12 : position + word])
