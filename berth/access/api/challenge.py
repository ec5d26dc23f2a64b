"""Proof that the caller has the private half of a WireGuard key, see :mod:`berth.access.possession`."""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access import possession, wireguard_key
from berth.access.api.bounded import Clock, Expiring, Full, Rate
from berth.access.api.errors import Refused

challenge_seconds: Final = 300
_pending: Final = 5_000


@dataclass(frozen=True)
class Claim:
    """What is to be registered: by whom, for which pass, which key, until when the signature holds."""

    address: str
    token: int
    key: str
    deadline: int


@dataclass(frozen=True)
class Challenge:
    """``server_key`` and ``nonce`` in base64, ``expires`` unix seconds."""

    id: str
    server_key: str
    nonce: str
    expires: int


@dataclass(frozen=True)
class _Pending:
    claim: Claim
    private: X25519PrivateKey = field(repr=False)
    nonce: bytes


class Challenges:
    """Challenges that wait for their proof; each is good for one attempt."""

    def __init__(self, clock: Clock = time.monotonic, per_minute: int = 30) -> None:
        self._pending: Expiring[_Pending] = Expiring(challenge_seconds, _pending, clock)
        # They are kept for everybody in one place: no wallet is to fill it alone, from however many addresses.
        self._rate = Rate(per_minute, clock)

    def make(self, claim: Claim) -> Challenge:
        """A challenge for one claim; Refused where the wallet asked for too many."""
        if wait := self._rate.take(claim.address):
            raise Refused(429, "rate-limited", f"too many challenges: try again in {wait:.0f} s", retry_after=wait)
        private, nonce = X25519PrivateKey.generate(), secrets.token_bytes(possession.nonce_size)
        identifier = secrets.token_hex(16)
        try:
            self._pending.put(identifier, _Pending(claim, private, nonce))
        except Full as full:
            raise Refused(503, "overloaded", "too many registrations at once", retry_after=full.seconds) from None
        expires = int(time.time()) + challenge_seconds
        return Challenge(identifier, possession.public_of(private), b64encode(nonce).decode(), expires)

    def check(self, identifier: str, claim: Claim, proof: bytes) -> None:
        """Refused unless ``proof`` answers the challenge of exactly this claim.  The challenge is used up."""
        pending = self._pending.take(identifier)
        if pending is None:
            raise Refused(409, "challenge-unknown", "this challenge was used or has expired: start again")
        if pending.claim != claim:
            raise Refused(
                409,
                "challenge-mismatch",
                "the challenge was made for another wallet, pass, key or deadline: start again",
            )
        key = wireguard_key.parse(claim.key)
        expected = possession.proof(pending.private, key, pending.nonce, claim.token, key)
        if not hmac.compare_digest(expected, proof):
            raise Refused(
                422,
                "proof-invalid",
                "this does not prove that you have the private half of the key: make a new key pair",
            )
