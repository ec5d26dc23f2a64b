"""WireGuard public keys, held to the rules of the contract (``CurvePoints.sol``) before a chain is asked.  Pure."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Final, Literal

Fault = Literal["key-malformed", "key-zero", "key-not-canonical", "key-low-order"]

_field: Final = 2**255 - 19
# The u coordinates of small order besides 0: with them the shared secret is known to everybody.
# Source: https://cr.yp.to/ecdh.html#validate
_low_order: Final = frozenset(
    {
        1,
        _field - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)


class InvalidKey(ValueError):
    """Not a key that may be a peer; ``fault`` names the rule."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def parse(text: str) -> bytes:
    """The 32 bytes of a public key in base64 (44 characters, as ``wg`` prints it); InvalidKey says what is wrong."""
    try:
        raw = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raw = b""
    # One key has one spelling: a base64 text may hold bits that say nothing.
    if len(raw) != 32 or b64encode(raw).decode() != text:
        raise InvalidKey("key-malformed", "a WireGuard public key is 32 bytes in base64, 44 characters")
    number = int.from_bytes(raw, "little")
    if number == 0:
        raise InvalidKey("key-zero", "the key is zero, which is what an unset variable looks like")
    if number >= _field:
        raise InvalidKey("key-not-canonical", "the key is not the one encoding of its point: make another with wg")
    if number in _low_order:
        raise InvalidKey("key-low-order", "the key is a point of small order, so everybody knows its secrets")
    return raw
