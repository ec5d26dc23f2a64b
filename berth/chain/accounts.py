"""Which account a private key belongs to, without the import time of eth_account (0.6 s)."""

from __future__ import annotations

import re
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from berth.chain.errors import PermanentError
from berth.chain.hashing import checksum_address, keccak

_key: Final = re.compile(r"0x[0-9a-fA-F]{64}")


def address_of(key: str) -> str:
    """The account (EIP-55 address) of a private key (0x and 64 hex digits).

    PermanentError, whose message does not show the key, when it is none.
    """
    number = int(key, 16) if _key.fullmatch(key) else 0
    try:
        public = derive_private_key(number, SECP256K1()).public_key()
    except ValueError:
        raise PermanentError("the private key is not valid: 0x and 64 hex digits are needed") from None
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return checksum_address(keccak(point[1:])[12:])
