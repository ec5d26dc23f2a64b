"""The access API, as a program calls it.

What it is asked to sign is made here again and compared: a service that was taken over cannot get a signature for
something else.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access import possession, wireguard_key
from berth.access.client.errors import Untrusted
from berth.access.client.wallet import Wallet
from berth.chain.eip712 import register_message, revoke_message
from berth.kit.client import ClientError, JsonApi

_answers_within: Final = 75.0  # seconds: the relay waits for a block
_health_within: Final = 5.0  # seconds
_prefix: Final = "/api/access"


@dataclass(frozen=True)
class Registered:
    """A device: its addresses in the tunnel, and the transaction that made it one."""

    token: int
    key: str
    address: str
    address6: str | None
    transaction: str


class AccessService(JsonApi):
    """The access API at ``url`` (the gateway's); a context manager.

    Errors: Unreachable, ApiRefused, Untrusted.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, "the access API", answers_within=_answers_within)
        self._config: Mapping[str, Any] | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """What the stack tells everybody: chain, contracts, and what a configuration file needs."""
        if self._config is None:
            self._config = self._ask("GET", "/config")
        return self._config

    def sign_in(self, wallet: Wallet) -> None:
        """Begins a session for the wallet's account."""
        offer = self._ask("POST", "/nonce", {"address": wallet.address, "uri": self.url})
        message = str(offer["message"])
        host, nonce = urlsplit(self.url).netloc, str(offer["nonce"])
        first = f"{host} wants you to sign in with your Ethereum account:\n{wallet.address}\n"
        if (
            not message.startswith(first)
            or f"\nURI: {self.url}\n" not in message
            or f"\nNonce: {nonce}\n" not in message
        ):
            raise Untrusted(f"{self.url} asks to sign in somewhere else, so nothing was signed:\n{message}")
        answer = self._ask(
            "POST",
            "/session",
            {"nonce": nonce, "signature": _hex(wallet.sign_text(message)), "transport": "bearer"},
        )
        self._http.headers["Authorization"] = f"Bearer {answer['token']}"

    @property
    def bearer(self) -> str:
        """The session's token, which the stack's other APIs take too; ClientError where nobody is signed in."""
        header: str = self._http.headers.get("Authorization", "")
        if not header:
            raise ClientError(f"nobody is signed in at {self.url}")
        return header.removeprefix("Bearer ")

    def sign_out(self) -> None:
        """Ends the session."""
        self._ask("DELETE", "/session")
        del self._http.headers["Authorization"]

    def passes(self) -> list[dict[str, Any]]:
        """The passes of the account."""
        return list(self._ask("GET", "/passes")["passes"])

    def devices(self) -> list[dict[str, Any]]:
        """Its devices."""
        return list(self._ask("GET", "/devices")["devices"])

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes on offer."""
        return list(self._ask("GET", "/nodes")["nodes"])

    def bridges(self) -> list[dict[str, Any]]:
        """The TCP bridges on offer; needs no session."""
        return list(self._ask("GET", "/bridges")["bridges"])

    def register(self, wallet: Wallet, token: int, private: X25519PrivateKey) -> Registered:
        """Binds the key pair to the pass: proves possession, signs, and waits until it is mined."""
        key = possession.public_of(private)
        offer = self._ask("POST", "/registrations", {"token": str(token), "key": key})
        challenge, deadline = offer["challenge"], int(offer["deadline"])
        nonce = int(offer["typedData"]["message"]["nonce"])
        message = register_message(*self._domain(), token, key, nonce, deadline)
        _require_same(message, offer["typedData"])
        proof = possession.proof(
            private, b64decode(challenge["serverKey"]), b64decode(challenge["nonce"]), token, wireguard_key.parse(key)
        )
        made = self._ask(
            "POST",
            "/devices",
            {
                "token": str(token),
                "key": key,
                "deadline": deadline,
                "signature": _hex(wallet.sign_typed(message)),
                "challenge": challenge["id"],
                "proof": b64encode(proof).decode(),
            },
        )
        if not made["address"]:
            raise ClientError(
                f"pass {token} is registered, but the tunnel's subnet has no address left: tell the operator"
            )
        return Registered(token, key, made["address"], made.get("address6"), made["transaction"])

    def revoke(self, wallet: Wallet, token: int) -> str:
        """Ends the binding of the pass and returns the transaction."""
        offer = self._ask("POST", "/revocations", {"token": str(token)})
        deadline, nonce = int(offer["deadline"]), int(offer["typedData"]["message"]["nonce"])
        message = revoke_message(*self._domain(), token, nonce, deadline)
        _require_same(message, offer["typedData"])
        body = {"deadline": deadline, "signature": _hex(wallet.sign_typed(message))}
        return str(self._ask("DELETE", f"/devices/{token}", body)["transaction"])

    def _why_away(self, told: str) -> str:
        """Without a chain there is no service to ask, though nothing is wrong with it."""
        try:
            down = _down(self._http.get("/health", timeout=_health_within))
        except httpx.HTTPError:
            down = []
        if "chain" in down:
            return (
                f"the chain that {self.url} reads does not answer, and nobody can be signed in without it; nothing was "
                "sent. Tunnels stay as they are meanwhile: try again later, or tell the operator"
            )
        return super()._why_away(told) + (f" (down: {', '.join(down)})" if down else "")

    def _domain(self) -> tuple[int, str]:
        return int(self.config["chainId"]), str(self.config["keyRegistry"])

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self.call(method, _prefix + path, body)


def _down(health: httpx.Response) -> list[str]:
    """What the gateway's health document names as down; nothing where it is none."""
    try:
        return [name for name, check in health.json()["checks"].items() if not check["ok"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _require_same(ours: dict[str, Any], theirs: Mapping[str, Any]) -> None:
    """Untrusted unless the service asks to sign what was made here."""
    if _plain(ours) != _plain(theirs):
        raise Untrusted(f"the service asks to sign another request than this one, so nothing was signed: {theirs}")


def _plain(value: Any) -> Any:
    """Numbers and hex in one spelling: wallets take numbers as text."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value).lower()


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()
