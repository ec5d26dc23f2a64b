"""The relay: sends what a holder signed, from an account of its own, so that a holder pays no gas.

Whatever costs the relay something is bounded: it looks before it sends, one request at a time for each wallet and
each pass, so many a minute for each and for all, so much gas and so high a fee for each transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from berth.access.api.bounded import Rate
from berth.access.api.errors import Refused, from_contract, relay_poor
from berth.access.api.metrics import ApiMetrics
from berth.chain.errors import TransactionFailed
from berth.chain.key_registry import KeyRegistry, key_bytes, name
from berth.chain.signatures import ethereum_signature
from berth.chain.transactions import Receipt, Sender, TooDear
from berth.kit.logging import get_logger

_at_once: Final = 8  # transactions that wait for their block; each keeps a thread
_everybody: Final = "all"
_register: Final = "registerFor"
_day: Final = 86_400.0  # seconds


@dataclass(frozen=True)
class Rates:
    """Requests a minute for each wallet and each pass, and for all; ``daily`` registrations a day for each pass.

    Without the last, one pass could have the relay pay for a new key every ten seconds for ever.
    """

    each: int
    total: int
    daily: int = 100


class Relay:
    """Sends registrations and revocations.  Safe to share between threads."""

    def __init__(self, registry: KeyRegistry, sender: Sender, rates: Rates, metrics: ApiMetrics) -> None:
        self._registry, self._sender, self._metrics = registry, sender, metrics
        self._each, self._total = Rate(rates.each), Rate(rates.total)
        self._daily = Rate(rates.daily, seconds=_day)
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._log = get_logger("relay")

    @property
    def address(self) -> str:
        """The account that pays."""
        return self._sender.address

    def register(self, address: str, token: int, key: str, deadline: int, signature: bytes) -> Receipt:
        """Binds ``key`` (base64) to the pass, as ``address`` signed.  Refused, or ChainError."""
        arguments = (token, key_bytes(key), address, deadline, ethereum_signature(signature))
        return self._send(_register, address, token, arguments)

    def revoke(self, address: str, token: int, deadline: int, signature: bytes) -> Receipt:
        """Ends the binding of the pass, as ``address`` signed.  Refused, or ChainError."""
        return self._send("revokeFor", address, token, (token, address, deadline, ethereum_signature(signature)))

    def _send(self, function: str, address: str, token: int, arguments: tuple[object, ...]) -> Receipt:
        with self._alone(f"wallet {address}", f"pass {token}"):
            self._count(self._each, f"wallet {address}", "this wallet")
            started = perf_counter()
            try:
                # First without sending: what the contract refuses costs nothing.
                self._sender.simulate(name, self._registry.address, function, *arguments)
                self._count(self._each, f"pass {token}", "this pass")
                self._count(self._total, _everybody, "the relay")
                if function == _register:  # there are no more revocations than these, and none is ever to wait
                    self._count(self._daily, f"pass {token}", "this pass")
                receipt = self._sender.send(name, self._registry.address, function, *arguments)
            except TooDear as dear:
                self._log.warning("transaction is too dear", function=function, reason=str(dear))
                raise Refused(
                    503, "relay-too-dear", f"the relay does not pay this: {dear}. Try again later", retry_after=60
                ) from None
            except TransactionFailed as failure:
                refused = from_contract(failure)
                # What the contract refuses by name in the simulation is the caller's affair, and cost nothing.
                if not failure.error:
                    self._metrics.failed.inc()
                    self._log.error("transaction failed", function=function, wallet=address, reason=str(failure))
                raise refused from None
            self._metrics.relay_seconds.observe(perf_counter() - started)
            self._metrics.relayed.labels(function).inc()
            self._metrics.gas.inc(receipt.gas_used)
            self._log.info(
                "relayed", function=function, wallet=address, pass_id=str(token), transaction=receipt.hash,
                block=receipt.block, gas=receipt.gas_used,
            )  # fmt: skip
            return receipt

    def require_funds(self) -> None:
        """Refused where the account has nothing at all."""
        if self._sender.balance() == 0:
            raise relay_poor()

    def _count(self, rate: Rate, who: str, shown: str) -> None:
        if wait := rate.take(who):
            raise Refused(
                429, "rate-limited", f"too many requests for {shown}: try again in {wait:.0f} s", retry_after=wait
            )

    @contextmanager
    def _alone(self, *names: str) -> Iterator[None]:
        """One request at a time for each name: two of one wallet would use the same nonce, and one would be lost."""
        with self._lock:
            if self._busy.intersection(names):
                raise Refused(409, "relay-busy", "another request of yours is on its way: wait for it", retry_after=3)
            if len(self._busy) >= 2 * _at_once:
                raise Refused(503, "relay-busy", "the relay is busy: try again in some seconds", retry_after=5)
            self._busy.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._busy.difference_update(names)
