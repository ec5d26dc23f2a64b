"""What goes: resources that the program no longer names, old ones that were replaced, everything on destroy."""

from __future__ import annotations

import copy
from collections import defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from graphlib import TopologicalSorter

from engine.deploy.execute import Executor, Step
from engine.deploy.identity import Problem
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

    def step(self, old: Resource, op: Operation, *, pending: bool = False) -> Step:
        """A step that deletes ``old``; ``pending``: it stays in the state, marked, until its replacement is there."""
        replaced = op == "delete-replaced"
        if old.external:
            op = "discard-replaced" if replaced else "discard"
        self.urns.add(old.urn)
        self._begun.add(id(old))
        apply = partial(self._delete, old, replaced)
        return Step(op, old, None, apply, marks="pending_replacement" if pending else "")

    def _delete(self, old: Resource, replaced: bool) -> None:
        if old.protect and not replaced:
            raise ProviderError(
                f'resource "{old.urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, '
                "either remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`, "
                f"or use the command:\n`pulumi state unprotect '{old.urn}'`"
            )
        kept = old.external or old.retain_on_delete or old.deleted_with in self.urns
        if not (self._executor.preview or kept or not old.custom or old.is_provider):
            self._providers.get(old.provider).delete(old)

    def before(self, old: Resource, new: Resource, operated: set[str]) -> list[Step]:
        """Steps after which ``old`` is deleted and ``new`` can be created: first goes all that cannot be without it."""
        steps = []
        for dependent in reversed(self._dependents(old, operated)):
            if dependent.protect and not dependent.delete:
                raise Problem(
                    f'unable to replace resource "{dependent.urn}" as part of replacing "{new.urn}" as it is currently '
                    "marked for protection. To unprotect the resource, remove the `protect` flag from the resource in "
                    f"your Pulumi program and run `pulumi up`, or use `pulumi state unprotect '{dependent.urn}'`",
                    new.urn,
                )
            steps.append(self.step(dependent, "delete-replaced", pending=not dependent.delete))
        if not old.pending_replacement:
            steps.append(self.step(old, "delete-replaced", pending=True))
        return steps

    def _dependents(self, root: Resource, operated: set[str]) -> list[Resource]:
        """What has to be replaced before ``root`` can be deleted, in dependency order.

        Old resources that depend on it and whose provider would replace them if the properties that come
        from it changed; ``operated`` ones are already registered, so they no longer depend on it.
        """
        base = self._state.base
        reached, condemned = {root.urn}, {root.urn}
        found: list[Resource] = []
        start = next((i for i, old in enumerate(base) if old is root), len(base))
        for old in base[start + 1 :]:
            if old.urn in operated or not reached & (dependencies_of(old) - {old.parent}):
                continue
            reached.add(old.urn)
            if self._must_go(old, condemned):
                condemned.add(old.urn)
                found.append(old)
        known = {id(old) for old in found}
        deleted_with = [r for r in base if r.deleted_with == root.urn and id(r) not in known]
        return [old for old in [*found, *deleted_with] if id(old) not in self._begun]

    def _must_go(self, old: Resource, condemned: set[str]) -> bool:
        if not old.custom or old.external or old.is_provider:
            return False
        if provider_urn(old.provider) in condemned or old.deleted_with in condemned:
            return True
        changed = {key for key, urns in old.property_dependencies.items() if condemned & set(urns)} & old.inputs.keys()
        if not changed:
            return False
        news = {key: UNKNOWN if key in changed else value for key, value in old.inputs.items()}
        diff = self._providers.get(old.provider).diff(old, replace(old, inputs=news))
        return bool(with_replaces(diff, old.replace_on_changes, False).replaces)

    def leftovers(self, operated: set[str], scope: Scope) -> list[Step]:
        """Steps for all that is left over when the program has ended (nothing was operated on in a destroy).

        What was not asked for stays the same: those steps come first, in dependency order.
        """
        steps: list[Step] = []
        stays: list[Step] = []
        doomed = scope.doomed(self._state.base)
        for old in self._state.base:
            done = self._state.aliases.get(old.urn, old.urn) in operated
            if old.urn not in doomed:
                if not done and not old.delete:
                    stays.append(Step("same", old, copy.copy(old)))
            elif old.delete:
                if id(old) not in self._begun:
                    steps.append(self.step(old, "delete-replaced"))
            elif not done and old.pending_replacement:
                steps.append(Step("remove-pending-replace", old, None))
            elif not done:
                steps.append(self.step(old, "delete"))
        missing = [step.urn for step in steps if scope.targets and step.urn not in scope.targets]
        if missing and not scope.dependents:
            advice = "was not specified in --target list: name it too or pass --target-dependents"
            self._executor.complain("\n".join(f"Resource '{urn}' will be destroyed but {advice}." for urn in missing))
        return stays + steps

    def run(self, steps: list[Step], parallel: int) -> None:
        """Carry out the steps, each when all that depends on its resource is gone.  Raises Stopped."""
        for step in steps:
            if step.op == "same":
                self._executor.run(step)
        order = self._order([step for step in steps if step.op != "same"])
        running: dict[Future[None], Step] = {}
        stopped: BaseException | None = None
        with ThreadPoolExecutor(max_workers=max(parallel, 1), thread_name_prefix="delete") as pool:
            while (stopped is None and order.is_active()) or running:
                for step in order.get_ready() if stopped is None else ():
                    running[pool.submit(self._executor.run, step)] = step
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    stopped = stopped or future.exception()
                    order.done(running.pop(future))
        if stopped is not None:
            raise stopped

    def _order(self, steps: list[Step]) -> TopologicalSorter[Step]:
        position = {id(old): i for i, old in enumerate(self._state.base)}
        components = {old.urn for old in self._state.base if not old.custom}
        parts: dict[str, set[str]] = defaultdict(set)  # to depend on a component is to depend on what is in it
        for old in self._state.base:
            if old.parent in components:
                parts[old.parent].add(old.urn)
        by_urn: dict[str, list[Step]] = defaultdict(list)
        order: TopologicalSorter[Step] = TopologicalSorter()
        for step in steps:
            by_urn[step.urn].append(step)
            order.add(step)
        for step in steps:
            assert step.old is not None
            needed = dependencies_of(step.old)
            needed |= {part for urn in needed - {step.old.parent} for part in parts.get(urn, ())}
            for other in [other for urn in needed for other in by_urn.get(urn, ())]:
                # Of several resources with this URN only those that are older can be meant.
                if position.get(id(other.old), 0) < position.get(id(step.old), 0):
                    order.add(other, step)
        order.prepare()
        return order
