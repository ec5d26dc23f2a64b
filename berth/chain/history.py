"""Which passes an account may have to do with, from the events that name it.

Events say where to look, never what holds: whoever uses this asks the contracts about each pass.  The chain is
read in ranges of blocks, and what was read for an account is kept, so that the next look costs the new blocks alone.
"""

from __future__ import annotations

import re
import threading
import time
from base64 import b64encode
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from berth.chain.endpoint import Endpoint
from berth.chain.errors import AnswerTooLarge, CallFailed, ChainUnreachable, TemporaryError
from berth.chain.hashing import keccak

accounts_kept: Final = 1000  # with passes, and as many without
passes_kept: Final = 1000  # of one account; an exchange that holds more does not connect by hand
_overlap: Final = 64  # blocks that are read again, because a reorganisation may have changed them
_smallest: Final = 16
_at_once: Final = 8  # accounts that are read about at the same time
_turn: Final = 1.0  # seconds that others wait for their turn
_word: Final = re.compile(r"0x[0-9a-f]{64}")
_transfer: Final = "0x" + keccak(b"Transfer(address,address,uint256)").hex()
_user: Final = "0x" + keccak(b"UpdateUser(uint256,address,uint64)").hex()
_registered: Final = "0x" + keccak(b"KeyRegistered(uint256,address,bytes32,uint32,address)").hex()
_delegate: Final = "0x" + keccak(b"DelegateSet(uint256,address,address)").hex()


class StillReading(TemporaryError):
    """The chain is long and not read to its end yet; asking again goes on where this stopped."""


@dataclass(frozen=True)
class Binding:
    """A key (base64) that an account bound to a pass, and the slot it got then."""

    token: int
    key: str
    slot: int
    block: int


@dataclass
class Mentions:
    """``tokens`` that were ever given, rented or delegated to the account; ``bindings`` the last of each pass."""

    tokens: set[int] = field(default_factory=set)
    bindings: dict[int, Binding] = field(default_factory=dict)
    read_to: int = -1
    """Last block read so far."""


class History:
    """The events of one collection and one registry.  Safe to share between threads."""

    def __init__(self, endpoint: Endpoint, registry: str, start: int = 0, span: int = 10_000) -> None:
        self._endpoint, self._registry, self._start = endpoint, registry, start
        self._span = span  # blocks in one question; halved when the endpoint finds it too many
        # Apart, because a wallet that nothing was ever given to is free: any number of them must not drive out members.
        self._known: OrderedDict[str, Mentions] = OrderedDict()
        self._strangers: OrderedDict[str, Mentions] = OrderedDict()
        self._lock = threading.Lock()
        # A long chain takes long for each new account: whoever brings many must not take every thread.
        self._readers = threading.Semaphore(_at_once)

    def of(self, account: str, collection: str, seconds: float = 15.0) -> Mentions:
        """What the chain says of ``account`` up to its head.

        StillReading when that takes longer than ``seconds``, or too many others are read about; ChainError when the
        chain cannot be read.
        """
        if not self._readers.acquire(timeout=_turn):
            raise StillReading("many passes are looked up at this moment: try again")
        try:
            return self._of(account, collection, seconds)
        finally:
            self._readers.release()

    def _of(self, account: str, collection: str, seconds: float) -> Mentions:
        with self._lock:
            known = self._known.pop(account, None) or self._strangers.pop(account, None)
        found = known or Mentions(read_to=self._start - 1)
        deadline = time.monotonic() + seconds
        try:
            head = self._endpoint.block().number
            position, span = max(self._start, found.read_to + 1 - _overlap), self._span
            while position <= head:
                if time.monotonic() > deadline:
                    raise StillReading(
                        f"events are read up to block {position} of {head}: try again, it goes on from there"
                    )
                end = min(position + min(span, self._span) - 1, head)
                try:
                    if self._read(account, collection, position, end, found):
                        position, span = end + 1, span * 2
                except AnswerTooLarge:
                    # Somebody was sent passes to and fro: that is no reason to ask about others in small parts.
                    if end == position:
                        raise
                    span = (end - position + 1) // 2
        finally:
            # Also where it failed: what was read is not read again.  Two threads may read the same, which is harmless.
            kept = self._known if found.tokens or found.bindings else self._strangers
            with self._lock:
                kept[account] = found
                while len(kept) > accounts_kept:
                    kept.popitem(last=False)
        return Mentions(set(found.tokens), dict(found.bindings), found.read_to)

    def _read(self, account: str, collection: str, first: int, last: int, into: Mentions) -> bool:
        """One range; False where it has to be asked for in smaller parts."""
        padded = "0x" + account[2:].lower().rjust(64, "0")
        questions: list[tuple[str, list[Any]]] = [
            # Both events have the account that receives in the same place.
            (collection, [[_transfer, _user], None, padded]),
            (self._registry, [[_registered], None, padded]),
            (self._registry, [[_delegate], None, None, padded]),
        ]
        try:
            answers = [self._logs(address, topics, first, last) for address, topics in questions]
        except CallFailed:
            # Endpoints word "too many blocks" and "too many results" differently.
            if last - first + 1 <= _smallest:
                raise
            self._span = max(_smallest, (last - first + 1) // 2)
            return False
        held, registered, delegated = answers
        for topics, _, _ in held:
            into.tokens.add(int(topics[3] if topics[0] == _transfer else topics[1], 16))
        for topics, data, block in registered:
            token, key = int(topics[1], 16), b64encode(bytes.fromhex(topics[3][2:])).decode()
            into.bindings[token] = Binding(token, key, int(data[2:66], 16), block)
        for topics, _, _ in delegated:
            into.tokens.add(int(topics[1], 16))
        while len(into.tokens) > passes_kept:
            into.tokens.remove(min(into.tokens))
        while len(into.bindings) > passes_kept:
            del into.bindings[min(into.bindings)]
        into.read_to = last
        return True

    def _logs(self, address: str, topics: list[Any], first: int, last: int) -> list[tuple[list[str], str, int]]:
        asked = {"address": address, "fromBlock": hex(first), "toBlock": hex(last), "topics": topics}
        answer = self._endpoint.request("eth_getLogs", asked)
        try:
            return [_log(one, topics[0]) for one in answer]
        except (TypeError, KeyError, ValueError) as error:
            raise ChainUnreachable(f"{self._endpoint.url} answered eth_getLogs with no logs: {error!r}") from None


def _log(raw: dict[str, Any], wanted: list[str]) -> tuple[list[str], str, int]:
    """Topics, data and block of one event; ValueError where it is not one of those asked for."""
    topics, data = [str(topic).lower() for topic in raw["topics"]], str(raw["data"]).lower()
    if not topics or topics[0] not in wanted:
        raise ValueError(f"an event {topics[:1]} that was not asked for")
    if len(topics) != (3 if topics[0] == _user else 4) or not all(_word.fullmatch(topic) for topic in topics):
        raise ValueError(f"an event with other topics than it has: {topics}")
    if topics[0] == _registered and not _word.match(data):
        raise ValueError("an event without its data")
    return topics, data, int(raw["blockNumber"], 16)
