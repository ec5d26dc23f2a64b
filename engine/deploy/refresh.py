"""What is really there: every resource is read, and what the state says of it corrected."""

from __future__ import annotations

import copy
import time
from concurrent.futures import ThreadPoolExecutor

from engine.deploy.execute import Executor, Stopped, is_default_provider
from engine.deploy.paths import invert
from engine.deploy.plugins import Providers
from engine.deploy.scope import Scope
from engine.deploy.state import State, now, repaired, secret_outputs
from engine.deploy.values import same
from engine.events import Operation, StepDone, StepFailed, StepStarted
from engine.model import Resource
from engine.provider import DiffResult


class Refresh:
    """One pass over the base of the state, before (or instead of) everything else."""

    def __init__(self, state: State, providers: Providers, executor: Executor, scope: Scope, counted: bool) -> None:
        self._state, self._providers, self._executor = state, providers, executor
        self._scope, self._counted = scope, counted

    def run(self, parallel: int) -> None:
        """Read all resources in parallel and start from what was found.  Raises Stopped when a read failed."""
        base = self._state.base
        if unknown := self._scope.targets.unknown({old.urn for old in base}):
            self._executor.fail(unknown)
            raise Stopped
        with ThreadPoolExecutor(max_workers=max(parallel, 1), thread_name_prefix="refresh") as pool:
            futures = [pool.submit(self._refresh if self._scope.includes(old) else _as_it_is, old) for old in base]
        failures = [future.exception() for future in futures]
        if any(failures):
            # What was read is kept: it is true of those resources, whatever became of the others.
            read = zip(base, futures, failures, strict=True)
            self._rebase([old if failure else future.result() for old, future, failure in read])
            raise next((f for f in failures if f is not None and not isinstance(f, Stopped)), Stopped())
        self._rebase([future.result() for future in futures])

    def _rebase(self, found: list[Resource | None]) -> None:
        with self._state.lock:
            self._state.rebase(repaired([resource for resource in found if resource is not None]))
        self._state.commit()

    def _refresh(self, old: Resource) -> Resource | None:
        """The resource as it is now, None when it is gone."""
        silent = is_default_provider(old)
        with self._executor.work():
            started = time.monotonic()
            if not silent:
                self._executor.emit(StepStarted(old.urn, "refresh", old, None))
            try:
                op, new, diff = self.read(old)
            except Exception as error:
                # Any error of a provider ends this read only; others are running.
                seconds = time.monotonic() - started
                self._executor.emit(StepFailed(old.urn, "refresh", str(error) or type(error).__name__, seconds))
                self._executor.failed.set()
                raise Stopped from error
            if not silent:
                seconds = time.monotonic() - started
                self._executor.emit(StepDone(old.urn, op, old, new, seconds, invert(diff.detailed)))
                if self._counted:
                    self._executor.count(op)
            return new

    def read(self, old: Resource) -> tuple[Operation, Resource | None, DiffResult]:
        """What a refresh of it would say, the resource as it is now, and what is different."""
        if not old.custom or old.is_provider or old.pending_replacement:
            return "same", old, DiffResult(False)
        provider = self._providers.get(old.provider)
        read = provider.read(old.urn, old.id, old.inputs, old.outputs)
        if not read.id:
            return "delete", None, DiffResult(True)
        new = copy.copy(old)
        new.id, new.outputs, new.init_errors = read.id, read.outputs, []
        new.inputs = old.inputs if read.inputs is None or old.external else read.inputs
        new.outputs = secret_outputs(new)
        changed = not (same(old.inputs, new.inputs) and same(old.outputs, new.outputs))
        if changed:
            new.modified = now()
        if old.external:
            return ("same" if same(old.outputs, new.outputs) else "update"), new, DiffResult(changed)
        # What would an update with an unchanged program do now?  The answer, turned round, is what has changed.
        diff = provider.diff(new.urn, new.id, new.inputs, new.outputs, old.inputs, old.ignore_changes)
        return ("update" if diff.changes else "same"), new, diff


def _as_it_is(old: Resource) -> Resource | None:
    return old
