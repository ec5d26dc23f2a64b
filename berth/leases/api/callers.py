"""Who is asking, by the stack's way of access; see ``LEASE_ACCESS``."""

from __future__ import annotations

import hmac
import re
from typing import Final

from fastapi import Request, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from berth.access.api.errors import Refused as AccessRefused
from berth.access.api.origins import Origins
from berth.access.api.sessions import Session, Sessions, cookie_name
from berth.leases.api.models import username_pattern
from berth.leases.errors import Refused
from berth.leases.holders import Holders
from berth.leases.settings import ManagerSettings
from berth.leases.store.users import Caller, Users

guest: Final = "guest"
_username: Final = re.compile(username_pattern)
_safe: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_protocol_token: Final = "bearer."


class Callers:
    """Tells callers apart; ``sessions`` and ``holders`` with LEASE_ACCESS=pass."""

    def __init__(
        self, settings: ManagerSettings, users: Users, served_at: Origins, sessions: Sessions | None = None,
        holders: Holders | None = None,
    ) -> None:  # fmt: skip
        self._settings, self._users, self._served_at = settings, users, served_at
        self._sessions, self._holders = sessions, holders

    async def of(self, request: Request) -> Caller:
        """The caller of a request."""
        return await self._of(request, safe=request.method in _safe)

    async def of_socket(self, socket: WebSocket) -> Caller:
        """The caller of a WebSocket.  Browsers cannot send headers there: they offer a protocol ``bearer.<token>``."""
        if header := socket.headers.get("origin"):
            self._served_at.of(header)
        return await self._of(socket, safe=True)

    async def wallet(self, request: Request) -> str | None:
        """The signed-in wallet of someone who registers; needed with LEASE_ACCESS=pass."""
        session = self._bearer(_token(request)) or self._session(request, safe=False)
        if session is None:
            if self._settings.lease_access == "pass":
                raise _signed_out("sign in with the wallet that holds an access pass first: /api/access/session")
            return None
        await self._require_pass(session.address)
        return session.address

    async def admin(self, request: Request) -> Caller:
        """An operator; where no ADMIN_TOKEN is set and access is open, everybody is one."""
        who = await self.of(request)
        self.require_admin(who)
        return who

    def require_admin(self, who: Caller) -> None:
        """Refused unless ``who`` is an operator."""
        if who.admin or (self._settings.lease_access == "open" and self._settings.admin_token is None):
            return
        raise Refused(403, "not-admin", "this is for operators, who show the stack's admin token")

    def acting(self, who: Caller, username: str) -> Caller:
        """``who`` on behalf of ``username``; what is another user's is not there."""
        if username == who.username:
            return who
        if who.admin or who.named:
            return Caller(username, who.admin, None, who.named)
        raise Refused(404, "not-found", f"there is no user {username} for you: you are {who.username}")

    async def _of(self, connection: HTTPConnection, safe: bool) -> Caller:
        if token := _token(connection):
            return await self._by_token(token)
        if session := self._session(connection, safe):
            await self._require_pass(session.address)
            user = await self._users.of_wallet(session.address)
            return Caller(user or session.address.lower(), wallet=session.address)
        if self._settings.lease_access == "open":
            return Caller(_claimed(connection), named=True)
        if self._settings.lease_access == "token":
            raise _signed_out("send an API token (Authorization: Bearer), which POST /api/users gives")
        raise _signed_out("sign in with the wallet that holds an access pass, or send an API token")

    async def _by_token(self, token: str) -> Caller:
        admin = self._settings.admin_token
        if admin and hmac.compare_digest(token.encode(), admin.get_secret_value().encode()):
            return Caller("admin", admin=True)
        if session := self._bearer(token):
            await self._require_pass(session.address)
            user = await self._users.of_wallet(session.address)
            return Caller(user or session.address.lower(), wallet=session.address)
        known = await self._users.of_token(token)
        if known is None:
            raise _refused_token()
        if self._settings.lease_access == "pass":
            if known.wallet is None:
                raise Refused(403, "not-entitled", "this token has no wallet: register again while signed in")
            await self._require_pass(known.wallet)
        return Caller(known.username, wallet=known.wallet)

    def _bearer(self, token: str) -> Session | None:
        """The session of a program that signed in; an API token, which has no dot, is none."""
        return self._read(token, "bearer") if self._sessions is not None and "." in token else None

    def _session(self, connection: HTTPConnection, safe: bool) -> Session | None:
        text = connection.cookies.get(cookie_name)
        if self._sessions is None or not text:
            return None
        session = self._read(text, "cookie")
        if not safe:
            self._served_at.require_same(connection.headers.get("origin"), session.origin)
        return session

    def _read(self, text: str, transport: str) -> Session:
        assert self._sessions is not None
        try:
            return self._sessions.read(text, "cookie" if transport == "cookie" else "bearer")
        except AccessRefused as refused:
            raise _signed_out(refused.detail) from None

    async def _require_pass(self, wallet: str) -> None:
        if self._holders is None:
            return
        if not await run_in_threadpool(self._holders.holds, wallet):
            told = f"{wallet} holds no access pass that counts now: get or renew one, or sign in with another wallet"
            raise Refused(403, "not-entitled", told)


def _token(connection: HTTPConnection) -> str:
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and given.strip():
        return given.strip()
    offered = connection.headers.get("sec-websocket-protocol", "")
    return next((p.strip().removeprefix(_protocol_token) for p in offered.split(",") if _protocol_token in p), "")


def _claimed(connection: HTTPConnection) -> str:
    name = connection.headers.get("x-berth-user") or connection.query_params.get("username") or guest
    if not _username.fullmatch(name):
        raise Refused(422, "malformed", f"a username matches {username_pattern}")
    return name


def _signed_out(told: str) -> Refused:
    refused = Refused(401, "signed-out", told)
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


def _refused_token() -> Refused:
    refused = Refused(401, "token-unknown", "this token is not known here, or was replaced: register again")
    refused.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return refused
