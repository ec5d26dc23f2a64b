"""HTTP of the access API: who may ask what, and what a refusal looks like."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry

from berth.access.api import origins, requests
from berth.access.api.bounded import Rate
from berth.access.api.errors import Refused
from berth.access.api.metrics import ApiMetrics
from berth.access.api.nodes import NodeWatch
from berth.access.api.passes import Passes
from berth.access.api.service import AccessService
from berth.access.api.sessions import Session, Sessions, Transport, cookie_name, cookie_path, ended_path
from berth.access.api.settings import ApiSettings
from berth.access.api.signin import SignIn
from berth.chain.eip712 import domain
from berth.chain.errors import ChainError, TemporaryError
from berth.chain.hashing import normalize_address
from berth.chain.history import StillReading
from berth.chain.key_registry import MalformedPage
from berth.kit.health import Health
from berth.kit.logging import get_logger
from berth.kit.serve import Next, make_app

body_limit: Final = 16 * 1024  # bytes
_safe: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_nonce_path: Final = "/api/access/nonce"
_open: Final = frozenset({"/health", "/metrics", ended_path})


class Api:
    """The routes over one service."""

    def __init__(
        self,
        settings: ApiSettings,
        signin: SignIn,
        sessions: Sessions,
        service: AccessService,
        passes: Passes,
        nodes: NodeWatch,
        metrics: ApiMetrics,
    ) -> None:
        self._settings, self._signin, self._sessions = settings, signin, sessions
        self._service, self._passes, self._nodes, self._metrics = service, passes, nodes, metrics
        self._callers, self._sign_ins = Rate(settings.requests_per_minute), Rate(settings.sign_ins_per_minute)
        self._log = get_logger("api")

    def build(self, health: Health, registry: CollectorRegistry) -> FastAPI:
        """The app."""
        app = make_app("berth access API", health, registry, self._guard)
        app.add_exception_handler(Refused, self._refused)
        app.add_exception_handler(RequestValidationError, self._malformed)
        app.add_exception_handler(ChainError, self._chain_fault)
        app.add_exception_handler(MalformedPage, self._chain_fault)
        self._sign_in_routes(app)
        self._member_routes(app)
        return app

    # ------------------------------------------------------------ signing in

    def _sign_in_routes(self, app: FastAPI) -> None:
        @app.get("/api/access/config")
        def config() -> dict[str, Any]:
            settings = self._settings
            return {
                **settings.shown(),
                "collection": self._passes.collection.address,
                "domain": domain(settings.chain_id, settings.key_registry),
                "nodeCount": len(self._nodes.offered()),
            }

        @app.get("/api/access/bridges")
        def bridges() -> dict[str, Any]:
            # Without a session, which ends while a tunnel goes on; the registry tells everybody as much.
            return {"bridges": self._nodes.bridges()}

        @app.post(_nonce_path)
        def nonce(request: Request, body: requests.NonceBody) -> dict[str, Any]:
            origin = self._settings.served_at.of(request.headers.get("origin"), body.uri)
            try:
                address = normalize_address(body.address)
            except ValueError as error:
                raise Refused(422, "malformed", str(error)) from None
            offer = self._signin.offer(address, origin)
            return {"message": offer.message, "nonce": offer.nonce, "expiresAt": offer.expires}

        @app.post("/api/access/session")
        def begin(request: Request, response: Response, body: requests.SessionBody) -> dict[str, Any]:
            header = request.headers.get("origin")
            if body.transport == "cookie" and not header:
                raise Refused(403, "origin-refused", "a session with a cookie is for browsers, which say their Origin")
            signature = requests.signature_bytes(body.signature)
            offer_origin = self._settings.served_at.of(header) if header else None
            address, origin = self._signin.accept(body.nonce, signature, offer_origin)
            session, text = self._sessions.begin(address, origin, body.transport)
            self._metrics.sessions.labels(body.transport).inc()
            self._log.info("signed in", wallet=address, origin=origin, transport=body.transport)
            shown: dict[str, Any] = {"address": session.address, "expiresAt": session.expires}
            if body.transport == "bearer":
                return {**shown, "token": text}
            response.set_cookie(
                cookie_name,
                text,
                max_age=self._sessions.seconds,
                path=cookie_path,
                secure=origin.startswith("https://"),
                httponly=True,
                samesite="strict",
            )
            return shown

        signed_in = Depends(self.session)

        @app.get("/api/access/session")
        def who(session: Session = signed_in) -> dict[str, Any]:
            return {"address": session.address, "expiresAt": session.expires}

        @app.get(ended_path)
        def ended() -> dict[str, Any]:
            return {"ended": self._sessions.ended()}

        @app.delete("/api/access/session", status_code=204)
        def end(response: Response, session: Session = signed_in) -> None:
            self._sessions.end(session)
            response.delete_cookie(cookie_name, path=cookie_path, httponly=True, samesite="strict")

    # ------------------------------------------------------------ with a session

    def _member_routes(self, app: FastAPI) -> None:
        signed_in = Depends(self.session)

        @app.get("/api/access/passes")
        def passes(session: Session = signed_in) -> dict[str, Any]:
            return {"passes": self._passes.shown(session.address)}

        @app.post("/api/access/registrations")
        def registrations(body: requests.RegistrationBody, session: Session = signed_in) -> dict[str, Any]:
            return self._service.begin_registration(session.address, body)

        @app.post("/api/access/devices", status_code=201)
        def register(body: requests.DeviceBody, session: Session = signed_in) -> dict[str, Any]:
            return self._service.register(session.address, body)

        @app.get("/api/access/devices")
        def devices(session: Session = signed_in) -> dict[str, Any]:
            return {"devices": self._passes.devices(session.address)}

        @app.post("/api/access/revocations")
        def revocations(body: requests.RevocationBody, session: Session = signed_in) -> dict[str, Any]:
            return self._service.begin_revocation(session.address, body.token)

        @app.delete("/api/access/devices/{token}")
        def revoke(
            token: requests.Token, body: requests.SignedRevocationBody, session: Session = signed_in
        ) -> dict[str, Any]:
            return self._service.revoke(session.address, token, body)

        @app.get("/api/access/nodes")
        def nodes(session: Session = signed_in) -> dict[str, Any]:
            return {"nodes": self._nodes.offered()}

    def session(self, request: Request) -> Session:
        """The session of a request: a bearer's, else a browser's cookie, which must come from our own page."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and given:
            return self._read(given, "bearer")
        text = request.cookies.get(cookie_name)
        if not text:
            raise _signed_out("sign in first")
        session = self._read(text, "cookie")
        if request.method not in _safe:
            self._settings.served_at.require_same(request.headers.get("origin"), session.origin)
        return session

    def _read(self, text: str, transport: Transport) -> Session:
        try:
            return self._sessions.read(text, transport)
        except Refused as refused:
            refused.headers["WWW-Authenticate"] = "Bearer"
            raise

    # ------------------------------------------------------------ refusing

    async def _guard(self, request: Request, call_next: Next) -> Response:
        """What is asked of every request before its body is read."""
        if request.scope["path"] in _open:
            return await call_next(request)
        try:
            self._admit(request)
        except Refused as refused:
            return await self._refused(request, refused)
        response = await call_next(request)
        # Answers are about one caller, at this moment.
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _admit(self, request: Request) -> None:
        caller = self._caller(request)
        # Messages to sign are kept for everybody in one place: nobody is to fill it alone.
        signs_in = request.scope["path"] == _nonce_path
        if wait := self._callers.take(caller) or (self._sign_ins.take(caller) if signs_in else 0):
            raise Refused(429, "rate-limited", f"too many requests: try again in {wait:.0f} s", retry_after=wait)
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not length.isdigit() or int(length) > body_limit:
            raise Refused(413, "body-too-large", f"a request has a length, of at most {body_limit} bytes")
        if header := request.headers.get("origin"):
            self._settings.served_at.of(header)

    def _caller(self, request: Request) -> str:
        peer = request.client.host if request.client else ""
        # A proxy may add a line of its own after those that the caller wrote.
        forwarded = request.headers.getlist("x-forwarded-for")
        return origins.caller(peer, forwarded[-1] if forwarded else None, self._settings.proxies)

    async def _refused(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refused)
        self._metrics.refusals.labels(error.reason).inc()
        self._log.warning(
            "refused",
            reason=error.reason,
            status=error.status,
            method=request.method,
            path=request.url.path,
            caller=self._caller(request),
            detail=error.detail,
        )
        return error.response()

    async def _malformed(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        # Inputs are left out: they may hold secrets.
        faults = [{"where": ".".join(str(part) for part in e["loc"]), "what": e["msg"]} for e in error.errors()]
        told = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
        return await self._refused(
            request, Refused(422, "malformed", f"the request is not as expected: {told}", errors=faults)
        )

    async def _chain_fault(self, request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, StillReading):
            return await self._refused(request, Refused(503, "history-incomplete", str(error), retry_after=1))
        # The reason names the endpoint, which is the operator's business.
        self._log.error("the chain could not be asked", path=request.url.path, reason=str(error))
        lasting = isinstance(error, ChainError) and not isinstance(error, TemporaryError)
        told = "the chain cannot be asked right now, nothing was sent: try again in some seconds"
        if lasting:
            told = "the chain does not answer as it should, nothing was sent: tell the operator"
        return await self._refused(request, Refused(503, "chain-unreachable", told, retry_after=5))


def _signed_out(told: str) -> Refused:
    refused = Refused(401, "signed-out", told)
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused
