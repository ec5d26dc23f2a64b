"""Sessions: signed by this service, short-lived, kept by the caller.

A session is ``payload.mac``, both base64url: the payload says who, where and until when, the MAC is HMAC-SHA256
under a key made from the session key and what the session is for, so that it opens no other stack.  Signing out is
remembered until the session would have ended, in memory: after a restart a stolen session is good for the rest of
its hour, which is why it is no longer than that.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from berth.access.api.bounded import Clock, Expiring, Full
from berth.access.api.errors import Refused

Transport = Literal["cookie", "bearer"]
cookie_name: Final = "berth_session"
ended_path: Final = "/sessions/ended"
"""Where the API tells other services inside who signed out; the gateway leads nobody there."""
cookie_path: Final = "/api"  # leases take these sessions as well
_longest: Final = 1024  # characters; ours have about 250
_signed_out: Final = 50_000


@dataclass(frozen=True)
class Session:
    """Who signed in (EIP-55), at which origin, until when (unix seconds), and how the caller keeps it."""

    address: str
    origin: str
    expires: int
    transport: Transport
    id: str


class Sessions:
    """``audience``: what the sessions are for, such as chain and registry."""

    def __init__(self, key: str, audience: str, seconds: int, clock: Clock = time.time) -> None:
        self.seconds, self._clock = seconds, clock
        self._key = hmac.digest(key.encode(), b"berth session v1|" + audience.encode(), "sha256")
        self._ended: Expiring[None] = Expiring(seconds, _signed_out, clock)

    def begin(self, address: str, origin: str, transport: Transport) -> tuple[Session, str]:
        """A new session and its text."""
        session = Session(address, origin, int(self._clock()) + self.seconds, transport, secrets.token_hex(12))
        payload = json.dumps([session.address, session.origin, session.expires, session.transport, session.id])
        encoded = _encode(payload.encode())
        return session, f"{encoded}.{_encode(self._mac(encoded))}"

    def read(self, text: str, transport: Transport) -> Session:
        """The session that a caller shows; Refused where it is not ours, not for this way, ended or over."""
        encoded, _, mac = text.partition(".")
        if len(text) > _longest or not hmac.compare_digest(_decode(mac), self._mac(encoded)):
            raise Refused(401, "signed-out", "this session is not valid: sign in again")
        address, origin, expires, kept, identifier = json.loads(_decode(encoded))
        session = Session(address, origin, expires, kept, identifier)
        if session.transport != transport or self._name(session) in self._ended:
            raise Refused(401, "signed-out", "this session is not valid: sign in again")
        if session.expires <= self._clock():
            raise Refused(401, "session-expired", "the session has expired: sign in again")
        return session

    def end(self, session: Session) -> None:
        """Signs out."""
        try:
            self._ended.put(self._name(session), None)
        except Full as full:
            raise Refused(503, "overloaded", "too many people sign out", retry_after=full.seconds) from None

    def ended(self) -> list[str]:
        """Who signed out, by names that mean nothing to anybody else, for services that take the same sessions."""
        return self._ended.names()

    def learn(self, ended: Iterable[str]) -> None:
        """What another service said has :meth:`ended`; as much of it as there is room for."""
        for name in ended:
            if name not in self._ended:
                with suppress(Full):
                    self._ended.put(name, None)

    def _name(self, session: Session) -> str:
        return sha256(session.id.encode()).hexdigest()

    def _mac(self, encoded: str) -> bytes:
        return hmac.digest(self._key, encoded.encode(), "sha256")


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
