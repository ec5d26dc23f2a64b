"""Whose each tunnel address is: the passes behind the peers and who holds them, for whoever answers people by that.

The holder is said with the pass: one that was sold and registered anew is another owner's, at whatever address.

Changed with the peers, in O(change).  A peer without an entry in the applied list (a removal that waits for approval)
has no pass here: it keeps its tunnel, and nobody answers it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from berth.access.current import CurrentList


@dataclass(frozen=True, slots=True)
class Owner:
    """``token``: a pass; ``holder``: the wallet that it was registered for (EIP-55 address)."""

    token: int
    holder: str


Owned = Mapping[str, Owner | None]
"""Tunnel address (IPv4) -> whose it is; None where nobody has the address any more."""


class Owners:
    """Address -> owner; safe to call from several threads, and never waits for those who listen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owned: dict[str, Owner] = {}
        self._feeds: set[Feed] = set()

    def reset(self, owned: Mapping[str, Owner]) -> None:
        """These and no others; O(addresses)."""
        with self._lock:
            gone = {address: None for address in self._owned if address not in owned}
            self._change({**gone, **owned})

    def change(self, owned: Owned) -> None:
        """What was there with these changes; O(changes)."""
        with self._lock:
            self._change(owned)

    def __len__(self) -> int:
        return len(self._owned)

    def listen(self) -> Feed:
        """All of it, and then what changes; to be closed by who listens."""
        with self._lock:
            feed = Feed(self._owned, self._feeds.discard)
            self._feeds.add(feed)
            return feed

    def _change(self, owned: Owned) -> None:
        made = {address: owner for address, owner in owned.items() if self._owned.get(address) != owner}
        for address, owner in made.items():
            if owner is None:
                del self._owned[address]
            else:
                self._owned[address] = owner
        for feed in self._feeds if made else ():
            feed.put(made)


class Feed:
    """What one listener has not taken yet: of each address what it is now, however often it changed."""

    def __init__(self, owned: Mapping[str, Owner], closed: Callable[[Feed], None]) -> None:
        self._wait = threading.Condition()
        self._pending: dict[str, Owner | None] = dict(owned)
        self._closed = closed

    def put(self, owned: Owned) -> None:
        """Called by :class:`Owners`."""
        with self._wait:
            self._pending.update(owned)
            self._wait.notify_all()

    def take(self, seconds: float) -> Owned:
        """What changed since the last time; empty after so many seconds in which nothing did."""
        with self._wait:
            if not self._pending:
                self._wait.wait(seconds)
            taken, self._pending = self._pending, {}
            return taken

    def close(self) -> None:
        """Nobody listens any more."""
        self._closed(self)


def owned_by(current: CurrentList, peers: Mapping[str, str], addresses: Iterable[tuple[str, str]]) -> Owned:
    """Of each ``(key, address)``: the owner of that entry where it is a peer now, else nobody."""
    found: dict[str, Owner | None] = {}
    for key, address in addresses:
        entry = current.of_key(key)
        if entry is not None and entry.address == address and peers.get(key) == address:
            found[address] = Owner(entry.token, entry.owner)
        else:
            found.setdefault(address, None)
    return found
