"""Whether a wallet holds an access pass now, asked of the chain and kept for some seconds."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

from berth.chain.access_pass import AccessPass
from berth.chain.endpoint import Endpoint
from berth.chain.errors import CallFailed, ChainError, NoContract
from berth.chain.history import History
from berth.chain.key_registry import KeyRegistry, MalformedPage
from berth.leases.errors import Refused

kept_seconds: Final = 10.0
_most: Final = 10_000


class Holders:
    """Counts as a holder: whom the registry names as the holder of a pass that is not over.  Blocking."""

    def __init__(
        self, endpoint: Endpoint, registry: KeyRegistry, history: History, clock: Callable[[], float] = time.time
    ) -> None:
        self._endpoint, self._registry, self._history, self._clock = endpoint, registry, history, clock
        self._known: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def _collection(self) -> AccessPass:
        return AccessPass(self._endpoint, self._registry.collection())

    @cached_property
    def _expiring(self) -> bool:
        return self._registry.flag("expiring")

    def holds(self, wallet: str) -> bool:
        """Refused (503) where the chain cannot be asked: what is not known is neither yes nor no."""
        with self._lock:
            at, known = self._known.get(wallet, (-kept_seconds, False))
        if time.monotonic() - at < kept_seconds:
            return known
        try:
            found = any(self._counts(token, wallet) for token in self._tokens(wallet))
        except ChainError as error:
            raise Refused(
                503, "chain-unreachable", "the chain cannot be asked who holds a pass: try again", retry_after=5
            ) from error
        with self._lock:
            self._known[wallet] = (time.monotonic(), found)
            self._known.move_to_end(wallet)
            while len(self._known) > _most:
                self._known.popitem(last=False)
        return found

    def holder_of(self, token: int) -> str:
        """Who holds a pass now, the zero address where nobody does; ChainError."""
        return self._registry.holder_of(token)

    def holders_of(self, tokens: Sequence[int]) -> dict[int, str]:
        """The same of several, by one call as far as they have a device; ChainError."""
        try:
            found = {peer.token: peer.holder for peer in self._registry.peers_of(tokens)}
        except MalformedPage as error:
            raise ChainError(f"the registry's answer makes no sense: {error}") from error
        return {token: found.get(token) or self.holder_of(token) for token in tokens}

    def _tokens(self, wallet: str) -> list[int]:
        return sorted(self._history.of(wallet, self._collection.address).tokens)

    def _counts(self, token: int, wallet: str) -> bool:
        if self._registry.holder_of(token) != wallet:
            return False
        if not self._expiring:
            return True
        try:
            ends = self._collection.expires_at(token)
        except (CallFailed, NoContract):
            return False
        return ends == 0 or ends > self._clock()
