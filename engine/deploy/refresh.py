"""What is really there: every resource is read, and what the state says of it corrected."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from engine.deploy.execute import Executor, Step, Stopped
from engine.deploy.options import Job
from engine.deploy.paths import invert
from engine.deploy.plugins import Providers
from engine.deploy.scope import Scope
from engine.deploy.state import State, now, repaired, secret_outputs
from engine.deploy.values import same
from engine.events import Operation
from engine.model import Resource
from engine.provider import DiffResult


class Refresh:
    """One pass over the base of the state, before (or instead of) everything else."""

    def __init__(self, job: Job, state: State, providers: Providers, executor: Executor) -> None:
        self._options, self._scope = job.options, Scope(job.options)
        self._state, self._providers, self._executor = state, providers, executor

    def run(self) -> None:
        """Read all resources in parallel and start from what was found.  Raises Stopped when a read failed."""
        base = self._state.base
        if unknown := self._scope.targets.unknown({old.urn for old in base}):
            self._executor.fail(unknown)
            raise Stopped
        with ThreadPoolExecutor(max_workers=max(self._options.parallel, 1), thread_name_prefix="refresh") as pool:
            futures = [(old, pool.submit(self._refresh, old, self._scope.includes(old))) for old in base]
        # What was read is kept: it is true of those resources, whatever became of the others.
        found = [old if future.exception() else future.result() for old, future in futures]
        with self._state.lock:
            self._state.rebase(repaired([resource for resource in found if resource is not None]))
        self._state.commit()
        if failures := [error for _, future in futures if (error := future.exception())]:
            raise next((error for error in failures if not isinstance(error, Stopped)), Stopped())

    def _refresh(self, old: Resource, included: bool) -> Resource | None:
        """The resource as it is now, None when it is gone."""
        if not included:
            return old
        step = Step("refresh", old, None)

        def work() -> str | None:
            try:
                step.op, step.new, diff = self.read(old)
            except Exception as error:  # noqa: BLE001 - any error of a provider ends this read only
                return str(error) or type(error).__name__
            step.diff = replace(diff, detailed=invert(diff.detailed))
            return None

        with self._executor.work():
            self._executor.report(step, work, counted=self._options.verb == "refresh")
        return step.new

    def read(self, old: Resource) -> tuple[Operation, Resource | None, DiffResult]:
        """What a refresh of it would say, the resource as it is now, and what is different."""
        if not old.custom or old.is_provider or old.pending_replacement:
            return "same", old, DiffResult(False)
        provider = self._providers.get(old.provider)
        read = provider.read(old)
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
        diff = provider.diff(new, old)
        return ("update" if diff.changes else "same"), new, diff
