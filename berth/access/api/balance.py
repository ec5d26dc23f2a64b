"""The relay's account, looked at whenever the chain is, so that health reports never wait for it."""

from __future__ import annotations

from typing import Final

from berth.access.api.metrics import ApiMetrics
from berth.chain.endpoint import Block, Endpoint
from berth.kit.logging import get_logger

coin: Final = 10**18  # wei


class LowBalance(Exception):
    """The relay's account has less than it should."""


class RelayBalance:
    """The balance of ``relay``, in wei; ``low``: below it the service is not well."""

    def __init__(self, endpoint: Endpoint, relay: str, low: int, metrics: ApiMetrics) -> None:
        self._endpoint, self._relay, self._low, self._metrics = endpoint, relay, low, metrics
        self._balance: int | None = None
        self._log = get_logger("relay")

    def check(self) -> str:
        """The balance last seen; LowBalance where it is below the limit."""
        if self._balance is None:
            return "not asked yet"
        shown = f"{self._relay} has {self._balance / coin:g} coins"
        if self._balance < self._low:
            raise LowBalance(f"{shown}, less than {self._low / coin:g}: send it some")
        return shown

    def look(self, head: Block) -> None:
        """Ask for the balance, now that the chain is at ``head``.  ChainError when it cannot be read."""
        balance = int(self._endpoint.request("eth_getBalance", self._relay, "latest"), 16)
        if balance < self._low and (self._balance is None or self._balance >= self._low):
            self._log.warning("the relay's account is low", account=self._relay, coins=balance / coin)
        self._balance = balance
        self._metrics.head.set(head.number)
        self._metrics.balance.set(balance / coin)
