"""What an engine that was killed left under way is settled first: taken over, repeated, or named.

A creation that made something is taken over where the provider can tell (Docker's can), else the program's
next registration creates it again: a provider of one's own has to be idempotent.  What was being updated is
read, and updated again; what was being deleted is deleted again.
"""

from __future__ import annotations

import copy
from typing import Final

from engine.deploy.deletions import Deletions
from engine.deploy.execute import Executor, Step, Stopped
from engine.deploy.options import Options
from engine.deploy.plugins import Providers
from engine.deploy.refresh import Refresh
from engine.deploy.scope import Urns
from engine.deploy.state import State, now, secret_outputs
from engine.events import Diagnostic
from engine.model import PendingOperation, Resource
from engine.provider import PartialFailure, ProviderError

_cut_short: Final = "the engine was interrupted before it had seen the end of this operation"


class Recovery:
    def __init__(
        self, state: State, providers: Providers, executor: Executor, deletions: Deletions, refresh: Refresh
    ) -> None:
        self._state, self._providers, self._executor = state, providers, executor
        self._deletions, self._refresh = deletions, refresh

    def run(self, options: Options) -> None:
        """Settle what can be settled, and warn of the rest.  Raises Stopped."""
        repeated: list[Step] = []
        targets = Urns(options.targets)
        for pending in list(self._state.unresolved):
            try:
                with self._executor.work():
                    if pending.type == "creating":
                        self._creation(pending)
                    elif options.verb != "update" or (targets and pending.resource.urn not in targets):
                        continue  # it is read, or deleted, anyway; or nobody asked for it
                    elif pending.type == "updating":
                        self._update(pending)
                    elif old := self._left(pending):
                        repeated.append(self._deletions.step(old, "delete-replaced", pending=True))
            except ProviderError as error:
                self._executor.fail(f"an interrupted operation cannot be settled: {error}", pending.resource.urn)
                raise Stopped from error
        if lines := [f"  * {p.resource.urn}, interrupted while {p.type}" for p in self._state.unresolved]:
            message = (
                f"Attempting to deploy or update resources with {len(lines)} pending operations from previous "
                "deployment.\n" + "\n".join(lines) + "\nThe engine was interrupted while it waited for their end. "
                "Updates and deletions are repeated. What was being created may exist: it is created again, which is "
                "right where creating is idempotent; otherwise look for it, and import or remove it. A refresh "
                "forgets what is listed here."
            )
            self._executor.emit(Diagnostic("warning", message))
        self._deletions.run(repeated, options.parallel)

    def _left(self, pending: PendingOperation) -> Resource | None:
        """What the state has of it; when its replacement is under way anyway, nothing is left to find out."""
        old = self._state.olds.get(pending.resource.urn)
        if old is None or old.pending_replacement:
            self._state.settle(pending)
            return None
        return old

    def _creation(self, pending: PendingOperation) -> None:
        new = copy.copy(pending.resource)
        known = {old.id for old in self._state.base if old.urn == new.urn}
        try:
            made = self._providers.get(new.provider).recover(new, known) if new.provider else None
        except PartialFailure as error:
            new.id, new.outputs, new.init_errors, made = error.id, error.outputs, [_cut_short], True
        if made:
            new.created = new.modified = now()
            new.outputs = secret_outputs(new)
            self._state.adopt(new)
            message = f"{new.name} was created by an operation that was interrupted, and is taken over"
            self._executor.emit(Diagnostic("info", message, new.urn))
        if made is not None:
            self._state.settle(pending)

    def _update(self, pending: PendingOperation) -> None:
        old = self._left(pending)
        if old is None:
            return
        _, found, _ = self._refresh.read(old)
        with self._state.lock:
            if found is None:
                old.pending_replacement = True
            else:
                old.inputs, old.outputs, old.init_errors = found.inputs, found.outputs, [_cut_short]
            self._state.changed(old)
        self._state.settle(pending)
