"""What ``--target`` leaves alone: what exists stays the same, what does not is not created."""

from __future__ import annotations

import copy
import threading

from engine.deploy.execute import Executor, Step
from engine.deploy.plan import Planner
from engine.deploy.scope import Scope
from engine.deploy.state import State, dependencies_of
from engine.model import Resource


class Bystanders:
    """``operated``: URNs that this operation has dealt with; ``seen``: that may be parents of others."""

    def __init__(
        self, state: State, executor: Executor, scope: Scope, planner: Planner, operated: set[str], seen: set[str]
    ) -> None:
        self._state, self._executor, self._scope, self._planner = state, executor, scope, planner
        self._operated, self._seen = operated, seen
        self._lock = threading.RLock()

    def leave(self, old: Resource | None, new: Resource) -> None:
        """Under its old URN, when a new one would come from an alias."""
        if old is None:
            self._scope.skipped.add(new.urn)
            self._executor.run(Step("same", new.urn, copy.copy(new), new, recorded=False))
            return
        with self._lock:
            if old.urn not in self._operated:
                self._stay(old)
            self._seen.add(old.urn)

    def _stay(self, old: Resource) -> None:
        """Also what it depends on, which the program may no longer have: that has to stand before it in the state."""
        with self._state.lock:
            self._state.aliases.pop(old.urn, None)
            self._operated.add(old.urn)
            needed = [self._state.olds.get(urn) for urn in sorted(dependencies_of(old) - self._operated)]
        for other in needed:
            if other is not None and self._state.aliases.get(other.urn, other.urn) not in self._operated:
                self._stay(other)
        self._planner.step("same", old.urn)
        self._executor.run(Step("same", old.urn, old, copy.copy(old)))
