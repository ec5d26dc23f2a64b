"""The bodies that the API takes."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from berth.access import wireguard_key
from berth.access.api.errors import Refused
from berth.access.api.sessions import Transport
from berth.chain.signatures import longest

most_tokens: Final = 2**256


def parse_token(value: Any) -> int:
    """A token id, as a number or in decimal digits (JavaScript's numbers end at 2^53); ValueError otherwise."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 78:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < most_tokens:
        raise ValueError("a token id is a whole number below 2^256, in decimal digits")
    return value


Token = Annotated[int, BeforeValidator(parse_token)]
Seconds = Annotated[int, Field(ge=0, lt=2**53)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")]


class Body(BaseModel):
    """Exactly the members that are named, each of its type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NonceBody(Body):
    address: str
    uri: str | None = None


class SessionBody(Body):
    nonce: Identifier
    signature: str
    transport: Transport = "cookie"


class RegistrationBody(Body):
    token: Token
    key: str


class DeviceBody(Body):
    token: Token
    key: str
    deadline: Seconds
    signature: str
    challenge: Identifier
    proof: str


class RevocationBody(Body):
    token: Token


class SignedRevocationBody(Body):
    deadline: Seconds
    signature: str


def signature_bytes(text: str) -> bytes:
    """A signature in hex, with or without 0x; Refused where it is too long or none."""
    digits = text.removeprefix("0x")
    if len(digits) > 2 * longest:
        raise Refused(
            413, "signature-oversize", f"a signature of {len(digits) // 2} bytes: {longest} are taken at most"
        )
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise Refused(422, "signature-invalid", "a signature is 0x and an even number of hex digits") from None


def wireguard_key_of(text: str) -> str:
    """A WireGuard public key as it came; Refused with the rule that it breaks."""
    try:
        wireguard_key.parse(text)
    except wireguard_key.InvalidKey as fault:
        raise Refused(422, fault.fault, str(fault)) from None
    return text


def proof_bytes(text: str) -> bytes:
    """A proof in base64; Refused where it is none."""
    try:
        return b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raise Refused(422, "proof-invalid", "a proof is 32 bytes in base64") from None
