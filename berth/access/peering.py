"""From the list to the peers: who is let in now, and what has to change.  Pure.

A peer is wanted while its entry is in the list and its term is not over by this node's own clock; a mass removal may
be held back (:mod:`berth.access.policy`); a list too old to be believed gives no peers at all.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from berth.access.diff import Changes, diff
from berth.access.errors import InconsistentList
from berth.access.model import Entry, PeersTree
from berth.access.policy import Breaker


@dataclass(frozen=True)
class Plan:
    """``changes`` to the peers, and who would go but has to wait (``hold``: key -> address).

    ``counted``: removals that the breaker let pass.  ``waiting``: who would come, but to the address of somebody who
    is held.  ``cut``: terms that were cut short, see :class:`~berth.access.policy.Pending`; None: it is not any more.
    """

    changes: Changes
    hold: Mapping[str, str] = field(default_factory=dict)
    counted: int = 0
    waiting: tuple[Entry, ...] = ()
    cut: Mapping[str, int | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changes or self.hold)


class Peering:
    """The peers that should be there (``peers``: key -> address), kept in O(change).

    ``own_key``: the node's own, which WireGuard would ignore as a peer.
    """

    def __init__(self, own_key: str, breaker: Breaker) -> None:
        self._own_key, self.breaker = own_key, breaker
        self.closed = False
        self.peers: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._tree = PeersTree()
        self._terms: list[tuple[int, int]] = []
        self._waiting: dict[str, Entry] = {}
        self.done(Plan(Changes(add=dict(breaker.held))), kept=True)

    @property
    def digest(self) -> str:
        """See :func:`berth.access.model.peers_digest`."""
        return self._tree.digest

    def wants(self, entry: Entry, now: float) -> bool:
        """Whether the entry makes a peer at this second."""
        return not self.closed and entry.key != self._own_key and not (entry.expires and entry.expires <= now)

    def plan(self, before: Iterable[Entry], after: Iterable[Entry], now: float) -> Plan:
        """What to do where these entries were (``before``) and these are now (``after``).

        InconsistentList where an address would belong to two peers.  Nothing is changed yet: see :meth:`done`.
        """
        old = {entry.key: entry for entry in before}
        still = {key: entry for key, entry in self._waiting.items() if key not in old}
        new = {**still, **{entry.key: entry for entry in after}}
        wanted = {key: entry.address for key, entry in new.items() if self.wants(entry, now)}
        keys = old.keys() | new.keys()
        changes = diff(wanted, {key: self.peers[key] for key in keys if key in self.peers})
        cut = self._cut(old, new)
        hold, counted = self._hold(changes, old, cut, now)
        waiting = tuple(new[key] for key in self._put_off(changes, hold))
        self._check(changes)
        return Plan(changes, hold, counted, waiting, cut)

    def plan_closing(self) -> Plan:
        """Everybody goes, whoever was held too."""
        return Plan(Changes(remove=dict(self.peers)))

    def plan_release(self, now: float) -> Plan:
        """Whoever was held goes, and whoever waited for an address of theirs comes."""
        wanted = {key: entry.address for key, entry in self._waiting.items() if self.wants(entry, now)}
        left = self.breaker.held.keys() | wanted.keys()
        changes = diff(wanted, {key: self.peers[key] for key in left if key in self.peers})
        self._check(changes)
        return Plan(changes)

    def after(self, plan: Plan) -> dict[str, str]:
        """All peers as ``plan`` wants them; O(peers)."""
        changes = plan.changes
        kept = {key: address for key, address in self.peers.items() if key not in changes.remove}
        return {**kept, **changes.move, **changes.add}

    def done(self, plan: Plan, put: Iterable[Entry] = (), now: float = 0.0, name: str = "", kept: bool = False) -> None:
        """``plan`` was applied; the terms of ``put`` are watched from now on.  ``name`` of an incident that began."""
        changes = plan.changes
        there = len(self.peers) - len(self.breaker.held)
        for key in (*changes.remove, *changes.move):
            self._forget(key)
        for key, address in {**changes.move, **changes.add}.items():
            self.peers[key], self._addresses[address] = address, key
            self._tree.put(key, address)
        for entry in put:
            if entry.expires:
                heapq.heappush(self._terms, (entry.expires, entry.token))
        if kept:
            return
        self._waiting = {entry.key: entry for entry in plan.waiting}
        self.breaker.count(plan.counted, there, now)
        listed = {*changes.remove, *changes.add, *changes.move, *(entry.key for entry in put)}
        self.breaker.let_go(listed - plan.hold.keys())
        self.breaker.hold(plan.hold, now, name)
        self.breaker.note_terms({**plan.cut, **dict.fromkeys(changes.remove)})

    def due(self, now: float) -> list[tuple[int, int]]:
        """(second, token) whose terms are over by now; each is named once."""
        found = []
        while self._terms and self._terms[0][0] <= now:
            found.append(heapq.heappop(self._terms))
        return found

    def watch(self, entries: Iterable[Entry]) -> None:
        """Watch the terms of these and no others."""
        self._terms = sorted((entry.expires, entry.token) for entry in entries if entry.expires)

    def next_due(self) -> float | None:
        """The second at which the next term is over."""
        return self._terms[0][0] if self._terms else None

    def again(self, due: Iterable[tuple[int, int]]) -> None:
        """Watch these again: what was due could not be applied."""
        for one in due:
            heapq.heappush(self._terms, one)

    def _cut(self, old: Mapping[str, Entry], new: Mapping[str, Entry]) -> dict[str, int | None]:
        """Whose terms are shorter than the list ever said, and whose are not any more."""
        found: dict[str, int | None] = {}
        for key, entry in new.items():
            known = self.breaker.cut.get(key)
            if known is None and (key not in old or key not in self.peers):
                continue
            longest = old[key].expires if known is None else known
            if entry.expires and (not longest or entry.expires < longest):
                found[key] = longest
            elif known is not None:
                found[key] = None
        return found

    def _hold(
        self, changes: Changes, old: Mapping[str, Entry], cut: Mapping[str, int | None], now: float
    ) -> tuple[dict[str, str], int]:
        """Takes out of ``changes`` the removals that wait; how many do not have to."""

        def foreseen(key: str) -> bool:
            term = old[key].expires
            return bool(term) and term <= now and cut.get(key, self.breaker.cut.get(key)) is None

        doubtful = {
            key: address
            for key, address in changes.remove.items()
            if key in old and key != self._own_key and not foreseen(key)
        }
        if not self.breaker.holds(len(doubtful), len(self.peers) - len(self.breaker.held), now):
            return {}, len(doubtful)
        for key in doubtful:
            del changes.remove[key]
        return doubtful, 0

    def _put_off(self, changes: Changes, hold: Mapping[str, str]) -> list[str]:
        """Takes out of ``changes`` who would get the address of somebody who is held: the keys.

        Else a new key for every pass would put everybody out, and its waiting be for nothing.
        """
        late: list[str] = []
        staying = (self.breaker.held.keys() | hold.keys()) - changes.remove.keys() - changes.move.keys()
        while staying:
            found = [
                key
                for key, address in {**changes.add, **changes.move}.items()
                if (other := self._addresses.get(address, key)) != key and other in staying
            ]
            late += found
            # Who was to move stays as well then, and keeps an address.
            staying = {key for key in found if changes.move.pop(key, None)}
            for key in found:
                changes.add.pop(key, None)
        return late

    def _check(self, changes: Changes) -> None:
        seen: dict[str, str] = {}
        for key, address in {**changes.add, **changes.move}.items():
            other = self._addresses.get(address, key)
            free = other == key or other in changes.remove or other in changes.move
            if not free or seen.setdefault(address, key) != key:
                raise InconsistentList(
                    f"the list gives {address} to two keys, {seen.get(address, other)} and {key}: no peer was touched"
                )

    def _forget(self, key: str) -> None:
        address = self.peers.pop(key, None)
        if address is None:
            return
        self._tree.drop(key)
        if self._addresses.get(address) == key:
            del self._addresses[address]
