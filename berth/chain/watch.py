"""The chain's head, looked at in the background, so that health reports never wait for a chain."""

from __future__ import annotations

import threading
from collections.abc import Callable

from berth.chain.endpoint import Block, Endpoint
from berth.chain.errors import ChainError
from berth.kit.logging import get_logger


class ChainWatch:
    """Asks for the head every ``interval`` seconds and tells it to ``seen``, which may ask the chain for more."""

    def __init__(self, endpoint: Endpoint, seen: Callable[[Block], None], interval: float = 10.0) -> None:
        self._endpoint, self._seen, self._interval = endpoint, seen, interval
        self._stop = threading.Event()
        self._head: Block | None = None
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

    def look(self) -> None:
        """Ask once."""
        try:
            self._endpoint.check_chain()
            head = self._endpoint.block()
            self._seen(head)
        except ChainError as fault:
            if self._fault is None:
                self._log.warning("the chain cannot be read", reason=str(fault))
            self._fault = fault
            return
        if self._fault is not None:
            self._log.info("the chain can be read again", head=head.number)
        self._fault, self._head = None, head

    def _run(self) -> None:
        while True:
            self.look()
            if self._stop.wait(self._interval):
                return
