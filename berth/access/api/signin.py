"""Signing in with a wallet (EIP-4361).

The server makes the whole message, for the caller's origin, and keeps it: what was signed can only be that text, so
nothing that a caller sends has to be parsed.  Each message is good for one attempt.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from berth.access.api.bounded import Expiring, Full
from berth.access.api.errors import Refused
from berth.chain.endpoint import Endpoint
from berth.chain.signatures import Counterfactual, NotSigned, longest, personal_hash, require_signed

message_seconds: Final = 300
_pending: Final = 20_000
_statement: Final = "Sign in to berth. This costs nothing and sends no transaction."


@dataclass(frozen=True)
class Offer:
    """A message to sign; ``expires`` unix seconds."""

    message: str
    nonce: str
    expires: int
    address: str
    origin: str


def message(origin: str, address: str, chain_id: int, nonce: str, issued: datetime) -> str:
    """The text of EIP-4361; ``address`` in EIP-55 spelling, ``issued`` with a time zone."""
    expires = issued + timedelta(seconds=message_seconds)
    return (
        f"{origin.split('://', 1)[1]} wants you to sign in with your Ethereum account:\n{address}\n\n{_statement}\n\n"
        f"URI: {origin}\nVersion: 1\nChain ID: {chain_id}\nNonce: {nonce}\n"
        f"Issued At: {_stamp(issued)}\nExpiration Time: {_stamp(expires)}"
    )


class SignIn:
    """Messages that wait for their signature, in memory: a restart asks callers to begin again."""

    def __init__(self, endpoint: Endpoint, chain_id: int) -> None:
        self._endpoint, self._chain_id = endpoint, chain_id
        self._offers: Expiring[Offer] = Expiring(message_seconds, _pending)

    def offer(self, address: str, origin: str) -> Offer:
        """A message for ``address`` to sign at ``origin``."""
        nonce, now = secrets.token_hex(16), datetime.now(UTC).replace(microsecond=0)
        text = message(origin, address, self._chain_id, nonce, now)
        made = Offer(text, nonce, int(now.timestamp()) + message_seconds, address, origin)
        try:
            self._offers.put(nonce, made)
        except Full as full:
            raise Refused(503, "overloaded", "too many people are signing in", retry_after=full.seconds) from None
        return made

    def accept(self, nonce: str, signature: bytes, origin: str | None) -> tuple[str, str]:
        """Who signed in, and where.  ``origin``: of the request, where it has one.  The nonce is used up either way."""
        offer = self._offers.take(nonce)
        if offer is None:
            raise Refused(401, "nonce-unknown", "this message was used or has expired: ask for another one")
        if origin is not None and offer.origin != origin:
            raise Refused(403, "origin-refused", f"this message was made for {offer.origin}, not for {origin}")
        verify(self._endpoint, offer.address, personal_hash(offer.message), signature, status=401)
        return offer.address, offer.origin


def verify(endpoint: Endpoint, address: str, digest: bytes, signature: bytes, status: int) -> None:
    """Refused, with ``status`` where it is simply wrong, unless ``address`` signed ``digest``."""
    if len(signature) > longest:
        raise Refused(413, "signature-oversize", f"a signature of {len(signature)} bytes: {longest} are taken at most")
    try:
        require_signed(endpoint, address, digest, signature)
    except Counterfactual as wallet:
        raise Refused(422, "counterfactual-wallet", str(wallet)) from None
    except NotSigned as wrong:
        raise Refused(status, "signature-invalid", str(wrong)) from None


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
