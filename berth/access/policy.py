"""What a node does when the chain says something unlikely, or nothing.  Pure: times come in as UNIX seconds.

:class:`Breaker` holds back a mass removal until a person approves it or its time is over, because a registry that
was taken over, or an endpoint that lies, would otherwise put everybody out in one block.

Every peer that loses its connection counts: whose pass is gone, whose key was replaced, by whomever, and whose term
was cut short.  One alone does not: whose term ends no earlier than the list ever said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

OutagePolicy = Literal["fail-closed", "keep"]
window: Final = 60.0  # seconds: removals of so long are one: they come in as many blocks as a sender likes
_never: Final = 100  # percent


@dataclass(frozen=True)
class BreakerRule:
    """Trips when at least ``at_least`` peers and more than ``share`` percent of all would go within the window.

    Then they stay for ``wait`` seconds at most.  ``share`` 100 never trips.
    """

    share: int = 50
    at_least: int = 10
    wait: float = 900.0


@dataclass(frozen=True)
class Pending:
    """A mass removal that waits: ``held`` (key -> address) stay peers until ``deadline``.

    ``cut`` (key -> UNIX second, 0 for none): terms that were cut short, and when they were to end; also where nothing
    waits yet.
    """

    id: str
    since: float
    deadline: float
    held: Mapping[str, str]
    cut: Mapping[str, int] = field(default_factory=dict)


class Breaker:
    """Decides which removals wait."""

    def __init__(self, rule: BreakerRule, pending: Pending | None = None) -> None:
        self.rule = rule
        self.id, self.since, self.deadline = "", 0.0, 0.0
        self.held: dict[str, str] = {}
        self.cut: dict[str, int] = {}
        self._recent: deque[tuple[float, int, int]] = deque()
        if pending is not None:
            self.id, self.since, self.deadline = pending.id, pending.since, pending.deadline
            self.held, self.cut = dict(pending.held), dict(pending.cut)

    @property
    def tripped(self) -> bool:
        """Whether somebody is held."""
        return bool(self.held)

    @property
    def pending(self) -> Pending | None:
        """What waits or may have to, to be kept over a restart."""
        if not self.held and not self.cut:
            return None
        return Pending(self.id, self.since, self.deadline, dict(self.held), dict(self.cut))

    def holds(self, removals: int, peers: int, now: float) -> bool:
        """Whether ``removals`` of ``peers`` (before them) have to wait.

        Once tripped, whatever is removed waits with the rest until the same deadline.
        """
        if not removals or self.rule.share >= _never:
            return False
        if self.tripped:
            return True
        recent = [(count, there) for when, count, there in self._recent if when > now - window]
        gone = removals + sum(count for count, _ in recent)
        # Of the most there were: whose key was replaced is gone and there again, and would count twice.
        most = max(peers, *(there for _, there in recent), 0)
        return gone >= self.rule.at_least and gone * 100 > self.rule.share * most

    def count(self, removals: int, peers: int, now: float) -> None:
        """So many of ``peers`` were removed without having to wait."""
        while self._recent and self._recent[0][0] <= now - window:
            self._recent.popleft()
        if removals:
            self._recent.append((now, removals, peers))

    def hold(self, peers: Mapping[str, str], now: float, name: str) -> None:
        """These stay; ``name`` names the incident from now on, where some of them did not wait before."""
        if peers and not self.held:
            self.since, self.deadline = now, now + self.rule.wait
        if peers.keys() - self.held.keys():
            self.id = name  # whoever approves has seen how many wait: approval of fewer is none of these
        self.held.update(peers)

    def let_go(self, keys: Iterable[str]) -> None:
        """These wait no longer: they are gone, or listed again."""
        tripped = self.tripped
        for key in keys:
            self.held.pop(key, None)
        if tripped and not self.held:
            self._recent.clear()

    def note_terms(self, cut: Mapping[str, int | None]) -> None:
        """These terms were cut short, and when they were to end; None: not, or not any more."""
        for key, term in cut.items():
            if term is None:
                self.cut.pop(key, None)
            else:
                self.cut[key] = term

    def overdue(self, now: float) -> bool:
        """Whether the time to approve is over: then the removal takes place.

        A clock that went back does not make that time longer.
        """
        self.deadline = min(self.deadline, now + self.rule.wait)
        return self.tripped and now >= self.deadline

    def as_dict(self) -> dict[str, Any]:
        """For status reports: no keys, how many wait, and until when."""
        rule = {"share": self.rule.share, "atLeast": self.rule.at_least, "waitSeconds": self.rule.wait}
        if not self.tripped:
            return {"state": "closed", "rule": rule}
        waiting = {"id": self.id, "since": self.since, "deadline": self.deadline, "held": len(self.held)}
        return {"state": "waiting", **waiting, "rule": rule}


@dataclass(frozen=True)
class Freshness:
    """Whether the list may still be believed.  ``max_age`` in seconds; ``keep`` never puts anybody out."""

    max_age: float = 900.0
    policy: OutagePolicy = "fail-closed"

    def too_old(self, age: float) -> bool:
        return age > self.max_age

    def closes(self, age: float) -> bool:
        """Whether every peer has to go."""
        return self.policy == "fail-closed" and self.too_old(age)
