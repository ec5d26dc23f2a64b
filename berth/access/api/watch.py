"""Chain and relay account, looked at in the background, so that health reports never wait for a chain."""

from __future__ import annotations

import threading
from typing import Final

from berth.access.api.metrics import ApiMetrics
from berth.chain.endpoint import Block, Endpoint
from berth.chain.errors import ChainError
from berth.kit.logging import get_logger

coin: Final = 10**18  # wei


class LowBalance(Exception):
    """The relay's account has less than it should."""


class ChainWatch:
    """Asks for the head and the relay's balance every ``interval`` seconds; ``low`` in wei."""

    def __init__(self, endpoint: Endpoint, relay: str, low: int, metrics: ApiMetrics, interval: float = 10.0) -> None:
        self._endpoint, self._relay, self._low = endpoint, relay, low
        self._metrics, self._interval = metrics, interval
        self._stop = threading.Event()
        self._head: Block | None = None
        self._balance: int | None = None
        self._fault: ChainError | None = None
        self._log = get_logger("chain")

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._run, name="chain-watch", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def check(self) -> str:
        """The head last seen; ChainError when the last question failed."""
        if self._fault is not None:
            raise self._fault
        return f"head {self._head}" if self._head else "not asked yet"

    def check_relay(self) -> str:
        """The balance last seen; LowBalance where it is below the limit."""
        if self._balance is None:
            return "not asked yet"
        shown = f"{self._relay} has {self._balance / coin:g} coins"
        if self._balance < self._low:
            raise LowBalance(f"{shown}, less than {self._low / coin:g}: send it some")
        return shown

    def look(self) -> None:
        """Ask once."""
        try:
            self._endpoint.check_chain()
            self._head = self._endpoint.block()
            balance = int(self._endpoint.request("eth_getBalance", self._relay, "latest"), 16)
        except ChainError as fault:
            if self._fault is None:
                self._log.warning("the chain cannot be read", reason=str(fault))
            self._fault = fault
            return
        if self._fault is not None:
            self._log.info("the chain can be read again", head=self._head.number)
        if balance < self._low and (self._balance is None or self._balance >= self._low):
            self._log.warning("the relay's account is low", account=self._relay, coins=balance / coin)
        self._fault, self._balance = None, balance
        self._metrics.head.set(self._head.number)
        self._metrics.balance.set(balance / coin)

    def _run(self) -> None:
        while True:
            self.look()
            if self._stop.wait(self._interval):
                return
