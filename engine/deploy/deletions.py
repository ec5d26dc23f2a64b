"""What goes: resources that the program no longer names, old ones that were replaced, everything on destroy."""

from __future__ import annotations

import copy
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from engine.deploy.execute import Executor, Step
from engine.deploy.paths import with_replaces
from engine.deploy.plugins import Providers
from engine.deploy.scope import Scope
from engine.deploy.state import State, dependencies_of, provider_urn
from engine.events import Operation
from engine.model import UNKNOWN, Resource
from engine.provider import ProviderError


class Deletions:
    """Delete steps, and what this operation has deleted so far."""

    def __init__(self, state: State, providers: Providers, executor: Executor) -> None:
        self._state, self._providers, self._executor = state, providers, executor
        self.urns: set[str] = set()  # deleted, or about to be
        self._begun: set[int] = set()

    def step(self, old: Resource, op: Operation, *, pending_replacement: bool = False) -> Step:
        """A step that deletes ``old``.

        ``pending_replacement``: it stays in the state, marked, until what replaces it was created.
        """
        replaced = op in ("delete-replaced", "discard-replaced")
        if old.external:
            op = "discard-replaced" if replaced else "discard"
        self.urns.add(old.urn)
        self._begun.add(id(old))

        def apply() -> None:
            if old.protect and not replaced:
                raise ProviderError(
                    f'resource "{old.urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, '
                    "either remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`, "
                    f"or use the command:\n`pulumi state unprotect '{old.urn}'`"
                )
            kept = old.external or old.retain_on_delete or old.deleted_with in self.urns
            if self._executor.preview or kept or not old.custom or old.is_provider:
                return
            self._providers.get(old.provider).delete(old)

        def finish() -> None:
            old.pending_replacement = old.pending_replacement or pending_replacement

        return Step(op, old.urn, old, None, apply, finish=finish, supersedes=not pending_replacement)

    def dependents(self, root: Resource, operated: set[str]) -> list[Resource]:
        """What has to be replaced before ``root`` can be deleted, in dependency order.

        Old resources that depend on it and whose provider would replace them if the properties that come
        from it changed; ``operated`` ones are already registered, so they no longer depend on it.
        """
        reached, condemned = {root.urn}, {root.urn}
        found: list[Resource] = []
        start = next((i for i, old in enumerate(self._state.base) if old is root), len(self._state.base))
        for old in self._state.base[start + 1 :]:
            if old.urn in operated or not reached & (dependencies_of(old) - {old.parent}):
                continue
            reached.add(old.urn)
            if self._must_go(old, condemned):
                condemned.add(old.urn)
                found.append(old)
        known = {id(old) for old in found}
        deleted_with = [r for r in self._state.base if r.deleted_with == root.urn and id(r) not in known]
        return [old for old in [*found, *deleted_with] if id(old) not in self._begun]

    def _must_go(self, old: Resource, condemned: set[str]) -> bool:
        if not old.custom or old.external or old.is_provider:
            return False
        if provider_urn(old.provider) in condemned or old.deleted_with in condemned:
            return True
        changed = [key for key, urns in old.property_dependencies.items() if condemned & set(urns)]
        if not any(key in old.inputs for key in changed):
            return False
        news = {key: UNKNOWN if key in changed else value for key, value in old.inputs.items()}
        provider = self._providers.get(old.provider)
        diff = provider.diff(old.urn, old.id, old.inputs, old.outputs, news, old.ignore_changes)
        return bool(with_replaces(diff, old.replace_on_changes, False).replaces)

    def leftovers(self, operated: set[str], scope: Scope) -> list[Step]:
        """Steps for all that is left over when the program has ended (nothing was operated on in a destroy).

        What was not asked for stays the same: those steps come first, in dependency order.
        """
        steps: list[Step] = []
        stays: list[Step] = []
        doomed = scope.doomed(self._state.base)
        for old in self._state.base:
            urn = self._state.aliases.get(old.urn, old.urn)
            if old.urn not in doomed:
                if urn not in operated and not old.delete:
                    stays.append(Step("same", old.urn, old, copy.copy(old)))
            elif old.delete:
                if id(old) not in self._begun:
                    steps.append(self.step(old, "delete-replaced"))
            elif urn not in operated:
                if old.pending_replacement:
                    steps.append(Step("remove-pending-replace", old.urn, old, None))
                else:
                    steps.append(self.step(old, "delete"))
        missing = [step.urn for step in steps if scope.targets and step.urn not in scope.targets]
        if missing and not scope.dependents:
            message = (
                "will be destroyed but was not specified in --target list: name it too or pass --target-dependents"
            )
            self._executor.complain("\n".join(f"Resource '{urn}' {message}." for urn in missing), "")
        return stays + steps

    def run(self, steps: list[Step], parallel: int) -> None:
        """Carry out the steps, each when all that depends on its resource is gone.  Raises Stopped."""
        for step in steps:
            if step.op == "same":
                self._executor.run(step)
        steps = [step for step in steps if step.op != "same"]
        position: dict[int, int] = {}
        parts: dict[str, set[str]] = {}  # what is in a component: to depend on it is to depend on its parts
        components = {old.urn for old in self._state.base if not old.custom}
        for i, old in enumerate(self._state.base):
            position[id(old)] = i
            if old.parent in components:
                parts.setdefault(old.parent, set()).add(old.urn)
        by_urn: dict[str, list[int]] = {}
        for i, step in enumerate(steps):
            by_urn.setdefault(step.urn, []).append(i)
        frees: list[list[int]] = [[] for _ in steps]  # step -> steps that wait for it
        waits = [0] * len(steps)
        for i, step in enumerate(steps):
            assert step.old is not None
            needed = dependencies_of(step.old)
            for urn in needed - {step.old.parent}:
                needed |= parts.get(urn, set())
            for urn in needed:
                for other in by_urn.get(urn, []):
                    # Of several resources with this URN only those that are older can be meant.
                    if position.get(id(steps[other].old), 0) < position.get(id(step.old), 0):
                        frees[i].append(other)
                        waits[other] += 1
        self._in_order(steps, frees, waits, parallel)

    def _in_order(self, steps: list[Step], frees: list[list[int]], waits: list[int], parallel: int) -> None:
        ready = [i for i, count in enumerate(waits) if not count]
        running: dict[Future[None], int] = {}
        stopped: BaseException | None = None
        with ThreadPoolExecutor(max_workers=max(parallel, 1), thread_name_prefix="delete") as pool:
            while ready or running:
                running.update((pool.submit(self._executor.run, steps[i]), i) for i in ready)
                ready = []
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    done = running.pop(future)
                    stopped = stopped or future.exception()
                    for other in frees[done] if stopped is None else []:
                        waits[other] -= 1
                        if not waits[other]:
                            ready.append(other)
        if stopped is not None:
            raise stopped
