"""What this service refuses: an HTTP status, a reason code for programs and a sentence for people.

A refusal is answered as a problem document whose member ``reason`` is one of :data:`Reason`, logged once, and
counted in ``berth_access_refusals_total``.  What is no refusal but a fault of the chain is a
:class:`~berth.chain.errors.ChainError`.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, get_args

from berth.chain.errors import TransactionFailed
from berth.kit.problem import Problem

Reason = Literal[
    # the request
    "malformed", "body-too-large", "origin-refused", "rate-limited", "overloaded",
    # signing in
    "signed-out", "session-expired", "nonce-unknown", "signature-invalid", "signature-oversize",
    "counterfactual-wallet",
    # the key
    "key-malformed", "key-zero", "key-not-canonical", "key-low-order", "key-of-node", "key-taken",
    "challenge-unknown", "challenge-mismatch", "proof-invalid",
    # the pass
    "not-holder", "pass-expired", "expiry-unreadable", "too-many-slots", "no-binding", "history-incomplete",
    # the request that was signed
    "signature-expired", "signature-stale",
    # the relay
    "relay-busy", "relay-poor", "relay-too-dear", "not-mined", "contract-refused",
    "chain-unreachable",
]  # fmt: skip
reasons: Final = frozenset(get_args(Reason))


class Refused(Problem):
    """The request is refused; ``retry_after`` seconds where the same request may be taken later."""

    def __init__(
        self, status: int, reason: Reason, detail: str, *, retry_after: float | None = None, **extra: Any
    ) -> None:
        super().__init__(status, detail, reason=reason, **extra)
        self.reason = reason
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))


# The contracts' own errors (contracts/src): reason, HTTP status, and what to tell the person.
_contract_errors: Final[dict[str, tuple[Reason, int, str]]] = {
    "NotHolder": ("not-holder", 403, "this wallet does not hold the pass now"),
    "PassExpired": ("pass-expired", 403, "the pass has expired: have it renewed first"),
    "ExpiryUnreadable": (
        "expiry-unreadable",
        409,
        "the collection does not say when the pass expires: try again later",
    ),
    "KeyTaken": ("key-taken", 409, "this key belongs to another pass: make a new key on the device"),
    "NoBinding": ("no-binding", 404, "no key is registered for this pass"),
    "SignatureExpired": ("signature-expired", 422, "the signature came after its deadline: sign again"),
    "SignatureReplayed": ("signature-stale", 409, "this signature was used before: start again to get a new request"),
    "InvalidSignature": ("signature-invalid", 422, "the contract does not take this signature for this request"),
    "TooManySlots": ("too-many-slots", 429, "this pass changed hands too often lately: wait, then try again"),
    "ZeroKey": ("key-zero", 422, "the key is zero"),
    "NonCanonicalKey": ("key-not-canonical", 422, "the key is not the one encoding of its point: make another"),
    "LowOrderKey": ("key-low-order", 422, "the key is a point of small order: make another"),
}


def from_contract(failure: TransactionFailed) -> Refused:
    """The refusal for what a contract said to a transaction of the relay."""
    if failure.error in _contract_errors:
        reason, status, told = _contract_errors[failure.error]
        return Refused(status, reason, told, contractError=failure.error)
    said = str(failure)
    if "insufficient funds" in said.lower():
        return relay_poor()
    if failure.error:
        return Refused(
            409, "contract-refused", f"the contract refused it: {failure.error}", contractError=failure.error
        )
    if "not mined within" in said:
        return Refused(504, "not-mined", "it was sent, but not mined in time: look at your devices in a minute")
    return Refused(409, "contract-refused", "the contract refused it, and did not say why")


def relay_poor() -> Refused:
    """The relay's account cannot pay."""
    return Refused(503, "relay-poor", "the relay's account is out of funds: tell the operator", retry_after=300)
