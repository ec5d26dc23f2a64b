"""What the routes do, without HTTP: checks in their order, then the relay."""

from __future__ import annotations

import time
from typing import Any, Final

from berth.access.api.challenge import Challenges, Claim
from berth.access.api.errors import Refused
from berth.access.api.nodes import NodeWatch
from berth.access.api.passes import Passes
from berth.access.api.relay import Relay
from berth.access.api.requests import (
    DeviceBody,
    RegistrationBody,
    SignedRevocationBody,
    proof_bytes,
    signature_bytes,
    wireguard_key_of,
)
from berth.access.api.signin import verify
from berth.chain.eip712 import register_message, revoke_message
from berth.chain.endpoint import Endpoint
from berth.chain.key_registry import KeyRegistry
from berth.chain.signatures import ethereum_signature, recover, typed_hash

signature_seconds: Final = 600  # how long a signed request holds
_longest_deadline: Final = 3600
_lookback: Final = 8  # used nonces that are tried, to tell a stale signature from a wrong one


class AccessService:
    """Registers and revokes keys for accounts that signed in."""

    def __init__(
        self, endpoint: Endpoint, registry: KeyRegistry, passes: Passes, challenges: Challenges, relay: Relay,
        nodes: NodeWatch,
    ) -> None:  # fmt: skip
        self._endpoint, self._registry, self._passes = endpoint, registry, passes
        self._challenges, self._relay, self._nodes = challenges, relay, nodes

    def begin_registration(self, account: str, body: RegistrationBody) -> dict[str, Any]:
        """What to sign, and the challenge of the key."""
        key = wireguard_key_of(body.key)
        self._require_entitled(account, body.token)
        self._require_free(key, body.token)
        self._relay.require_funds()
        deadline = self._now() + signature_seconds
        challenge = self._challenges.make(Claim(account, body.token, key, deadline))
        return {
            "typedData": wallet_form(self._register_message(body.token, key, self._registry.nonce(account), deadline)),
            "deadline": deadline,
            "challenge": {
                "id": challenge.id,
                "serverKey": challenge.server_key,
                "nonce": challenge.nonce,
                "expiresAt": challenge.expires,
            },
        }

    def register(self, account: str, body: DeviceBody) -> dict[str, Any]:
        """Sends the registration and says which addresses the device has."""
        key, signature = wireguard_key_of(body.key), signature_bytes(body.signature)
        self._challenges.check(body.challenge, Claim(account, body.token, key, body.deadline), proof_bytes(body.proof))
        self._require_entitled(account, body.token)
        self._require_free(key, body.token)
        self._require_signed(
            account, signature, lambda nonce: self._register_message(body.token, key, nonce, body.deadline)
        )
        receipt = self._relay.register(account, body.token, key, body.deadline, signature)
        peer = self._passes.peer_at(body.token, self._endpoint.block(receipt.block))
        address, address6 = self._passes.addresses(peer.slot) if peer else (None, None)
        return {
            "token": str(body.token),
            "key": key,
            "address": address,
            "address6": address6,
            "transaction": receipt.hash,
        }

    def begin_revocation(self, account: str, token: int) -> dict[str, Any]:
        """What to sign to end a binding."""
        if not self._registry.slot_of(token):
            raise Refused(404, "no-binding", f"no key is registered for pass {token}")
        self._relay.require_funds()
        deadline = self._now() + signature_seconds
        return {
            "typedData": wallet_form(self._revoke_message(token, self._registry.nonce(account), deadline)),
            "deadline": deadline,
        }

    def revoke(self, account: str, token: int, body: SignedRevocationBody) -> dict[str, Any]:
        """Sends the revocation."""
        signature = signature_bytes(body.signature)
        if body.deadline > self._now() + _longest_deadline:
            raise Refused(422, "signature-expired", "the deadline is too far away: ask for the request again")
        self._require_signed(account, signature, lambda nonce: self._revoke_message(token, nonce, body.deadline))
        return {"transaction": self._relay.revoke(account, token, body.deadline, signature).hash}

    def _require_entitled(self, account: str, token: int) -> None:
        may, holder = self._passes.entitled(account, token)
        if not may:
            raise Refused(
                403, "not-holder", f"{account} does not hold pass {token} now", holder=holder, token=str(token)
            )
        end = self._passes.expires(token, self._endpoint.block())
        if end and end <= self._chain_time():
            raise Refused(403, "pass-expired", f"pass {token} has expired: have it renewed first", expired=end)

    def _require_free(self, key: str, token: int) -> None:
        if self._nodes.is_node_key(key):
            raise Refused(409, "key-of-node", "this is the key of a node: make a key on the device")
        if self._passes.taken_by(key, token):
            raise Refused(409, "key-taken", "this key belongs to another pass: make a new key on the device")

    def _require_signed(self, account: str, signature: bytes, message: Any) -> None:
        """Refused unless the account signed the request as it is made here, with the nonce of this moment."""
        nonce = self._registry.nonce(account)
        try:
            verify(self._endpoint, account, typed_hash(message(nonce)), signature, status=422)
        except Refused as refused:
            if refused.reason != "signature-invalid":
                raise
            plain = ethereum_signature(signature)
            for back in range(1, min(_lookback, nonce) + 1):
                if recover(typed_hash(message(nonce - back)), plain) == account:
                    raise Refused(
                        409, "signature-stale", "another request of this wallet came first: start again and sign anew"
                    ) from None
            raise Refused(
                422,
                "signature-invalid",
                f"this is not a signature of {account} over that request for chain {self._endpoint.chain_id} and "
                f"contract {self._registry.address}",
            ) from None

    def _register_message(self, token: int, key: str, nonce: int, deadline: int) -> dict[str, Any]:
        return register_message(self._endpoint.chain_id, self._registry.address, token, key, nonce, deadline)

    def _revoke_message(self, token: int, nonce: int, deadline: int) -> dict[str, Any]:
        return revoke_message(self._endpoint.chain_id, self._registry.address, token, nonce, deadline)

    def _now(self) -> int:
        """The chain's time or ours, whichever is later: a deadline must hold for both."""
        return max(self._chain_time(), int(time.time()))

    def _chain_time(self) -> int:
        return int(self._endpoint.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)


def wallet_form(message: dict[str, Any]) -> dict[str, Any]:
    """Typed data as wallets take it: numbers of 256 bits as decimal text, since JavaScript's end at 2^53."""
    numbers = {name: str(value) if isinstance(value, int) else value for name, value in message["message"].items()}
    return {**message, "message": numbers}
